import type { Link } from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import type { RoutableWorker } from './router.ts'

/** A BusinessWorker on the other side of a link. */
export class WorkerPeer implements RoutableWorker {
  clientCount = 0
  /** Those that it serves, by connection id; one that has left stays until that has been acknowledged. */
  readonly clients = new Map<number, ClientConnection>()
  /** Random name of the worker's process; PHP's have none. */
  readonly instance: string | undefined
  /** Whether its clients are not read until there is room: on its link, or among what it has not acknowledged. */
  isFull = false
  /** Whether it has asked for nothing new. */
  isLeaving = false
  readonly key: string
  readonly link: Link
  /** The client whose event it has that workers died with; and those whose turn comes after that. */
  suspect: ClientConnection | undefined
  readonly suspectsWaiting = new Set<ClientConnection>()
  /** How often it got full. */
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
}
