import {
  type CloseReason,
  Command,
  type CommandToWorker,
  EMPTY,
  Flag,
  GatewayWorkerError,
  type Hello,
  type Link,
  MAX_TIMER_MS,
} from '@gatewayworker/protocol'
import { type ClientConnection, PauseReason } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { type CrashOptions, type EventCounters, takeBack } from './crashes.ts'
import { ClientEvent, type EventBody } from './event-queue.ts'
import { Orphans } from './orphans.ts'
import type { Router } from './router.ts'
import { UnservedClients } from './unserved-clients.ts'
import { candidatesFor, chooseWorker } from './worker-choice.ts'
import { isSuspect, WorkerPeer } from './worker-peer.ts'

export interface WorkerPoolOptions extends CrashOptions {
  /** What a worker may have unacknowledged, in bytes, before each client may have one event under way only. */
  bufferSizeBytes: number
  /** Events of one client that its worker may have unacknowledged. */
  clientWindow: number
  /** The same in bytes; one event may be under way however long it is. */
  clientWindowBytes: number
  noWorkerTimeoutMs: number
  router: Router
}

/** At a worker's bound a client with nothing under way is told an event of at most so many bytes at once; a longer one takes its turn. */
const SHORT_EVENT_BYTES = 16 * 1024
/** PHP's workers acknowledge nothing: from so many bytes that the kernel has not taken on, clients wait in line for them. */
const LEGACY_BUFFER_BYTES = 64 * 1024
const PAIR_BYTES = 8
/** After so long without a word TCP asks the host of a worker that may have come back; it has ten seconds to answer. */
const DOUBTFUL_IDLE_MS = 1_000

/**
 * The workers of a gateway, which of them serves which client, and how much each may have under way.
 *
 * ```
 * client ──▶ EventQueue ──[client's window]──[worker's bound]──▶ worker ──▶ ACKNOWLEDGE: opens both
 *            not read while an event waits       ╰─ clients that meet the bound stand in line; each turn is one event
 * ```
 * Invariants: an event is kept until a worker has acknowledged it; a client's events are told in order, to one worker at a time, and go to
 * another one only when that has acknowledged all it was told, or is gone; a worker hears who a client is (CLIENT_CONTEXT) before its first event.
 * A client has at most its window of events under way, and is not read while one waits. A worker at its bound is told only the first event,
 * if it is short, of clients that have nothing under way, and one event of the next client in line for each that it acknowledges. No cost grows with the number of idle clients.
 * What PHP's workers were told counts as acknowledged, so that for them only the line is kept, and begins where the kernel takes no more.
 */
export class WorkerPool {
  readonly counters: EventCounters = { poisonEvents: 0, redeliveredEvents: 0 }
  readonly #options: WorkerPoolOptions
  readonly #unserved: UnservedClients
  readonly #orphans = new Orphans((client) => this.#serve(client))
  #onSettled: (() => void) | undefined
  #wasCutOff = false
  #workers: readonly WorkerPeer[] = []

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#unserved = new UnservedClients({
      ...options,
      isSuccessorExpected: () => this.#workers.some(({ isLeaving, link }) => isLeaving && !link.isClosed),
      onNoSecondWorker: () => this.#serveUnserved(true),
    })
  }

  /** Whether there is none, and one has not left but was cut off. */
  get areCutOff(): boolean {
    return this.size === 0 && this.#wasCutOff
  }

  /** Output to workers that the kernel has not taken yet, in bytes. */
  get bufferedBytes(): number {
    return this.#workers.reduce((sum, { link }) => sum + link.bufferedBytes, 0)
  }

  get size(): number {
    return this.#workers.length
  }

  /**
   * A worker is there. If it is one that we know, its old link is of no use any more. PHP's only say their address and name, which those behind one NAT
   * address share: whether the old link is still of use is then for TCP to find out, soon.
   */
  add(link: Link, hello: Hello): WorkerPeer {
    const label = hello.role.kind === 'worker' ? hello.role.workerKey : ''
    const key = `${link.peer.slice(0, link.peer.lastIndexOf(':'))}:${label}`
    const worker = new WorkerPeer(link, hello.instance, key)
    if (!link.dialect.acknowledges) link.bufferSizeBytes = Math.min(link.bufferSizeBytes, LEGACY_BUFFER_BYTES)
    for (const old of this.#workers) {
      if (old.instance !== worker.instance) continue
      if (old.instance !== undefined) old.link.destroy()
      else if (old.key === key) old.link.relyOnTcp(DOUBTFUL_IDLE_MS)
    }
    this.#workers = [...this.#workers, worker]
    this.#wasCutOff = false
    this.#options.log.info({ worker: worker.key, workers: this.size }, 'worker linked')
    for (const client of this.#orphans.claim(worker)) {
      client.events.clear()
      this.#release(client)
    }
    this.#serveUnserved()
    return worker
  }

  /** The worker's link has ended: others take its clients over, with all that it has not acknowledged. */
  remove(worker: WorkerPeer): void {
    this.#workers = this.#workers.filter((other) => other !== worker)
    const { clientCount, key, timesFull, unacknowledgedBytes } = worker
    this.#options.log.info(
      { worker: key, clients: clientCount, timesFull, unacknowledgedBytes, workers: this.size },
      'worker gone',
    )
    this.#wasCutOff ||= !worker.isLeaving
    for (const client of [...worker.clients.values()]) {
      takeBack(client, worker, this.#options, this.counters)
      this.#moveOn(client, worker)
    }
    worker.unacknowledgedBytes = 0
    if (worker.isLeaving) this.#unserved.awaitWorker()
    this.#checkSettled()
  }

  /** Something happened to a client: its worker is told in its turn. */
  deliver(client: ClientConnection, command: CommandToWorker, flag: number, body: EventBody = EMPTY): void {
    client.events.push(new ClientEvent(command, flag, body))
    this.#tellWaiting(client)
  }

  /** The last event of a client. A client that no worker ever heard of is forgotten. */
  deliverClose(client: ClientConnection, reason: CloseReason): void {
    clearTimeout(client.noWorkerTimer)
    if (client.worker !== undefined) client.worker.clientCount -= 1
    if (client.events.wasEverTold) {
      this.deliver(client, Command.ON_CLOSE, 0, { reason })
      return
    }
    client.events.clear()
    this.#release(client)
  }

  /** All clients have been closed while there was no worker: those who had them know it, or are dead. */
  orphanUnserved(): void {
    this.#orphans.add(this.#unserved)
  }

  /** Whether a client has an event that no worker has handled, or is served by one. */
  has(connectionId: number): boolean {
    if (this.#workers.some(({ clients }) => clients.has(connectionId))) return true
    for (const client of this.#unserved) if (client.connectionId === connectionId) return true
    return false
  }

  /** A worker says which events it has handled: pairs of connection id and number. Throws BAD_PARAMETERS. */
  acknowledge(link: Link, pairs: Buffer): void {
    if (pairs.length % PAIR_BYTES !== 0) throw new GatewayWorkerError('BAD_PARAMETERS', 'half an acknowledgement')
    const worker = this.#workerOn(link)
    if (worker === undefined) return
    for (let at = 0; at < pairs.length; at += PAIR_BYTES) {
      const client = worker.clients.get(pairs.readUInt32BE(at))
      if (client === undefined) continue
      worker.unacknowledgedBytes -= client.events.acknowledge(pairs.readUInt32BE(at + 4))
      if (client.events.toldCount === 0) this.#onAllAcknowledged(client, worker)
      else if (client.events.nextToTell !== undefined) this.#tellWaiting(client)
    }
    this.serveLine(worker)
    this.#checkSettled()
  }

  /** A worker is about to go: it is told nothing new, and each of its clients moves on when all that it was told is acknowledged. */
  leave(link: Link): void {
    const worker = this.#workerOn(link)
    if (worker === undefined) return
    worker.isLeaving = true
    this.#options.log.info({ worker: worker.key, clients: worker.clientCount }, 'worker leaves')
    for (const client of [...worker.clients.values()]) if (client.events.toldCount === 0) this.#moveOn(client, worker)
  }

  /** Tells the client's worker what its session is now. `ownChange`: the flag, if the worker asked for it, that it was its own doing. */
  tellSession(client: ClientConnection, by: Link, ownChange: number): void {
    const link = client.worker?.link
    link?.dialect.tellSession(link, client, link === by ? ownChange : 0)
  }

  /** There may be room at a worker: clients that wait for it are served in turn, one event each. */
  serveLine(worker: WorkerPeer): void {
    if (worker.suspect === undefined && worker.unacknowledgedBytes === 0) {
      for (const client of worker.suspectsWaiting) {
        worker.suspectsWaiting.delete(client)
        this.#tellWaiting(client)
        if (worker.suspect !== undefined) return
      }
    }
    if (worker.isIsolated) return
    for (const client of worker.line) {
      if (!this.#hasRoom(worker)) return
      worker.line.delete(client)
      const { nextToTell } = client.events
      if (nextToTell !== undefined && this.#isWindowOpen(client, nextToTell)) this.#tell(worker, client, nextToTell)
      this.#tellWaiting(client) // its next event waits at the end of the line
    }
  }

  /** Resolves when the workers have acknowledged all that they were told, or at the deadline. */
  async whenSettled(deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(deadlineMs, MAX_TIMER_MS))
      this.#onSettled = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#checkSettled()
    })
    this.#onSettled = undefined
  }

  /** Tells the client's worker what waits, as far as the client's window and the worker's bound allow. */
  #tellWaiting(client: ClientConnection): void {
    const { events, worker } = client
    if (worker === undefined) {
      this.#serve(client)
      return
    }
    let event = events.nextToTell
    while (event !== undefined && this.#mayTell(worker, client, event)) {
      this.#tell(worker, client, event)
      event = events.nextToTell
    }
    if (event !== undefined) {
      client.pauseReading(PauseReason.EVENTS_WAIT)
      if (events.toldCount === 0 && this.#isBetterElsewhere(worker, event)) this.#moveOn(client, worker)
      return
    }
    client.resumeReading(PauseReason.EVENTS_WAIT)
    client.leaveIfDone()
    if (client.hasLeft && events.isEmpty) this.#release(client)
  }

  /** Whether a client's next event may be told now. If not, what it waits for will call `#tellWaiting`. */
  #mayTell(worker: WorkerPeer, client: ClientConnection, event: ClientEvent): boolean {
    if (!worker.isAvailable) return false
    if (worker.isIsolated || isSuspect(event, worker)) return this.#mayTellAlone(worker, client, event)
    const isFirst = client.events.toldCount === 0
    const isShort = event.byteLength <= SHORT_EVENT_BYTES && worker.link.dialect.acknowledges
    if (isFirst && (isShort || this.#hasRoom(worker))) {
      if (worker.line.size > 0) worker.line.delete(client) // this is its turn
      return true
    }
    if (!this.#isWindowOpen(client, event)) return false
    return (worker.line.size === 0 && this.#hasRoom(worker)) || this.#standInLine(worker, client)
  }

  /** A suspect event is told when its worker has nothing else under way; meanwhile that is told nothing else. */
  #mayTellAlone(worker: WorkerPeer, client: ClientConnection, event: ClientEvent): boolean {
    if (!isSuspect(event, worker)) return this.#standInLine(worker, client)
    if (worker.suspect !== undefined || worker.unacknowledgedBytes > 0) {
      worker.suspectsWaiting.add(client)
      return false
    }
    worker.suspectsWaiting.delete(client)
    worker.suspect = client
    return true
  }

  #standInLine(worker: WorkerPeer, client: ClientConnection): false {
    if (!worker.line.has(client)) {
      worker.line.add(client)
      worker.timesFull += 1
      // Said once, since a worker at its bound gets full and has room again many times a second.
      if (worker.timesFull === 1) {
        const { key, clientCount } = worker
        this.#options.log.warn({ worker: key, clients: clientCount }, 'a worker is too slow; its clients wait in turn')
      }
    }
    return false
  }

  #hasRoom({ link, unacknowledgedBytes }: WorkerPeer): boolean {
    return unacknowledgedBytes < this.#options.bufferSizeBytes && !link.isFull
  }

  #isWindowOpen({ events: { toldBytes, toldCount } }: ClientConnection, { byteLength }: ClientEvent): boolean {
    const { clientWindow, clientWindowBytes } = this.#options
    return toldCount === 0 || (toldCount < clientWindow && toldBytes + byteLength <= clientWindowBytes)
  }

  #tell(worker: WorkerPeer, client: ClientConnection, event: ClientEvent): void {
    const { link } = worker
    const { body, command, flag } = event
    if (!link.dialect.acknowledges) {
      client.events.dropOldest()
      this.#tellOnce(worker, client, event)
      return
    }
    link.dialect.tellEvent(link, client, command, event.wasTold ? flag | Flag.REDELIVERED : flag, body)
    if (event.wasTold) this.counters.redeliveredEvents += 1
    client.events.tellNext()
    worker.unacknowledgedBytes += event.byteLength
  }

  #tellOnce({ link }: WorkerPeer, client: ClientConnection, { body, command, flag }: ClientEvent): void {
    try {
      link.dialect.tellEvent(link, client, command, flag, body)
    } catch (err) {
      // With its session, which legacy workers are sent each time, a message can be longer than they take.
      this.#options.log.error(
        { clientId: client.clientId, command, err },
        'an event cannot be told; its client is closed',
      )
      client.close(CloseCode.TOO_BIG, 'message and session are too big', 'protocol_error')
    }
  }

  #onAllAcknowledged(client: ClientConnection, worker: WorkerPeer): void {
    if (worker.suspect === client) worker.suspect = undefined
    client.leaveIfDone()
    if (client.hasLeft && client.events.isEmpty) this.#release(client)
    else if (worker.isLeaving) this.#moveOn(client, worker)
    else if (client.events.nextToTell !== undefined) this.#tellWaiting(client)
  }

  /** Whether an event waits for a worker that is kept for suspect events, while another one is not. */
  #isBetterElsewhere(worker: WorkerPeer, event: ClientEvent): boolean {
    if (!worker.isIsolated || isSuspect(event, worker)) return false
    return this.#workers.some(({ isAvailable, isIsolated }) => isAvailable && !isIsolated)
  }

  /** Another worker is to serve the client. */
  #moveOn(client: ClientConnection, worker: WorkerPeer): void {
    if (!client.hasLeft) worker.clientCount -= 1
    this.#release(client)
    if (!client.hasLeft || !client.events.isEmpty) this.#serve(client)
  }

  #release(client: ClientConnection): void {
    const { worker } = client
    if (worker !== undefined) {
      worker.clients.delete(client.connectionId)
      worker.line.delete(client)
      worker.suspectsWaiting.delete(client)
      if (worker.suspect === client) worker.suspect = undefined
    }
    client.worker = undefined
    this.#unserved.delete(client)
  }

  /** Gives the client a worker, which hears at once who it is and what has happened. */
  #serve(client: ClientConnection, takesOnlyWorker = false): void {
    const { log, router } = this.#options
    const available = this.#workers.filter((worker) => worker.isAvailable)
    const candidates = takesOnlyWorker ? available : candidatesFor(client, available)
    if (candidates.length === 0) {
      this.#unserved.add(client, available.length > 0)
      return
    }
    this.#unserved.delete(client)
    const worker = chooseWorker(candidates, client, router, log)
    client.worker = worker
    client.lastWorker = worker.instance
    worker.clients.set(client.connectionId, client)
    if (!client.hasLeft) worker.clientCount += 1
    worker.link.dialect.tellClient(worker.link, client, client.events.handledCount)
    this.#tellWaiting(client)
  }

  #serveUnserved(takesOnlyWorker = false): void {
    for (const client of this.#unserved) if (!this.#orphans.has(client)) this.#serve(client, takesOnlyWorker)
  }

  #workerOn(link: Link): WorkerPeer | undefined {
    return this.#workers.find((worker) => worker.link === link)
  }

  #checkSettled(): void {
    if (this.#onSettled !== undefined && this.#workers.every(({ unacknowledgedBytes }) => unacknowledgedBytes === 0)) {
      this.#onSettled()
    }
  }
}
