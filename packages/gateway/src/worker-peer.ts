import type { Link } from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import type { ClientEvent } from './event-queue.ts'
import type { RoutableWorker } from './router.ts'

/** After so many crashes an event is delivered alone, so that the culprit is known. */
const SUSPECT_DEATHS = 2

/** A BusinessWorker on the other side of a link. */
export class WorkerPeer implements RoutableWorker {
  clientCount = 0
  /** Those that it serves, by connection id; one that has left stays until that has been acknowledged. */
  readonly clients = new Map<number, ClientConnection>()
  /** Random name of the worker's process; PHP's have none. */
  readonly instance: string | undefined
  /** Whether it has asked for nothing new. */
  isLeaving = false
  readonly key: string
  readonly link: Link
  /** Clients whose next event waits because the worker has enough unacknowledged, in the order of their turns. */
  readonly line = new Set<ClientConnection>()
  /** The client whose suspect event it was told; it has nothing else under way. */
  suspect: ClientConnection | undefined
  /** Clients whose suspect event it is told as soon as it has nothing else under way. */
  readonly suspectsWaiting = new Set<ClientConnection>()
  /** How often a client had to wait in line. */
  timesFull = 0
  /** What it was told and has not acknowledged. */
  unacknowledgedBytes = 0

  constructor(link: Link, instance: string | undefined, key: string) {
    this.link = link
    this.instance = instance
    this.key = key
  }

  get isAvailable(): boolean {
    return !this.isLeaving && !this.link.isClosed
  }

  /** Whether it is kept for suspect events, which are told alone. */
  get isIsolated(): boolean {
    return this.suspect !== undefined || this.suspectsWaiting.size > 0
  }
}

/** Whether an event may be what workers die of. PHP's workers have handled it when they are told. */
export function isSuspect({ deaths }: ClientEvent, { link }: WorkerPeer): boolean {
  return deaths >= SUSPECT_DEATHS && link.dialect.acknowledges
}
