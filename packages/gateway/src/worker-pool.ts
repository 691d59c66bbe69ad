import {
  type CloseReason,
  Command,
  type CommandToWorker,
  EMPTY,
  Flag,
  GatewayWorkerError,
  type Hello,
  type Link,
  type Log,
} from '@gatewayworker/protocol'
import { type ClientConnection, PauseReason } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { ClientEvent, type EventBody } from './event-queue.ts'
import { Orphans } from './orphans.ts'
import { leastConnections, type Router } from './router.ts'
import { WorkerPeer } from './worker-peer.ts'

export interface WorkerPoolOptions {
  /** What a worker may have unacknowledged, in bytes; from there on its clients are not read. */
  bufferSizeBytes: number
  log: Log
  noWorkerTimeoutMs: number
  /** After so many workers have died with an event it is set aside; 0 for never. */
  poisonLimit: number
  router: Router
}

/** What became of events since the process started. */
export interface EventCounters {
  /** Told again, because the worker that was told before died. */
  redeliveredEvents: number
  /** Set aside, because worker after worker died with them. */
  poisonEvents: number
}

/** From so many deaths on an event is told to a worker that has no other such event, so that only the guilty one is with it when it dies. */
const SUSPECT_DEATHS = 2
const PAIR_BYTES = 8
/** After so long without a word TCP asks the host of a worker that may have come back; it has ten seconds to answer. */
const DOUBTFUL_IDLE_MS = 1_000
/** Longer times overflow setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The workers of a gateway, and which of them serves which client.
 *
 * Invariants: an event is kept until a worker has acknowledged it; a client's events are told in order, to one worker at a time, and go to
 * another one only when that has acknowledged all it was told, or is gone; a worker hears who a client is (CLIENT_CONTEXT) before its first event;
 * a client is not read while events of it wait for a worker, or for their turn, nor while its worker is full. What is told to PHP's workers
 * counts as acknowledged.
 */
export class WorkerPool {
  readonly counters: EventCounters = { poisonEvents: 0, redeliveredEvents: 0 }
  readonly #options: WorkerPoolOptions
  /** Clients without a worker, in the order in which they came to be so. */
  readonly #unserved = new Set<ClientConnection>()
  readonly #orphans = new Orphans((client) => this.#serve(client))
  #onSettled: (() => void) | undefined
  #wasCutOff = false
  #workers: readonly WorkerPeer[] = []

  constructor(options: WorkerPoolOptions) {
    this.#options = options
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
    for (const client of [...this.#unserved]) if (!this.#orphans.has(client)) this.#serve(client)
    this.checkRoom(worker) // nobody was there to hear it when the link got full
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
    worker.unacknowledgedBytes = 0
    this.#wasCutOff ||= !worker.isLeaving
    for (const client of [...worker.clients.values()]) {
      this.#takeBack(client, worker)
      this.#moveOn(client, worker)
    }
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
    }
    this.checkRoom(worker)
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

  /** The clients of a worker are not read from when it is full until there is room again. */
  checkRoom(worker: WorkerPeer): void {
    const { bufferSizeBytes } = this.#options
    const limit = worker.isFull ? bufferSizeBytes / 2 : bufferSizeBytes
    const isFull = worker.link.isFull || worker.unacknowledgedBytes >= limit
    if (isFull === worker.isFull) return
    worker.isFull = isFull
    if (!isFull) {
      for (const client of worker.clients.values()) client.resumeReading(PauseReason.WORKER_FULL)
      return
    }
    worker.timesFull += 1
    // Said once, since a worker at its limit gets full and has room again many times a second.
    if (worker.timesFull === 1) {
      const { key, clientCount } = worker
      this.#options.log.warn({ worker: key, clients: clientCount }, 'a worker is too slow; its clients wait')
    }
    for (const client of worker.clients.values()) client.pauseReading(PauseReason.WORKER_FULL)
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

  /** Tells the client's worker what waits, as far as its turn has come. */
  #tellWaiting(client: ClientConnection): void {
    const { events, worker } = client
    if (worker === undefined) {
      this.#serve(client)
      return
    }
    for (let event = events.nextToTell; event !== undefined; event = events.nextToTell) {
      if (!worker.isAvailable || !isItsTurn(event, client, worker)) {
        client.pauseReading(PauseReason.EVENTS_WAIT)
        return
      }
      this.#tell(worker, client, event)
    }
    client.resumeReading(PauseReason.EVENTS_WAIT)
    client.leaveIfDone()
    if (client.hasLeft && events.isEmpty) this.#release(client)
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
    if (worker.unacknowledgedBytes >= this.#options.bufferSizeBytes) this.checkRoom(worker)
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
    if (worker.suspect === client) {
      worker.suspect = undefined
      this.#tellWaiting(client)
      this.#tellNextSuspect(worker)
    }
    client.leaveIfDone()
    if (client.hasLeft && client.events.isEmpty) this.#release(client)
    else if (worker.isLeaving && client.events.toldCount === 0) this.#moveOn(client, worker)
  }

  #tellNextSuspect(worker: WorkerPeer): void {
    for (const client of worker.suspectsWaiting) {
      if (worker.suspect !== undefined) return
      worker.suspectsWaiting.delete(client)
      if (client.worker === worker) this.#tellWaiting(client)
    }
  }

  /** What a worker was told and is not to acknowledge any more waits again. */
  #takeBack(client: ClientConnection, worker: WorkerPeer): void {
    const { events } = client
    if (events.toldCount === 0) return
    events.forgetTold()
    if (worker.isLeaving) return // it went because it was asked to
    const { log, poisonLimit } = this.#options
    const oldest = events.oldest!
    oldest.deaths += 1
    if (oldest.deaths !== poisonLimit) return
    const messageId = `${client.clientId}-${events.handledCount + 1}`
    events.dropOldest()
    this.counters.poisonEvents += 1
    const { command, deaths } = oldest
    log.error(
      { clientId: client.clientId, messageId, command, workersDied: deaths },
      'an event is set aside, because worker after worker died with it',
    )
  }

  /** Another worker is to serve the client. */
  #moveOn(client: ClientConnection, worker: WorkerPeer): void {
    if (!client.hasLeft) worker.clientCount -= 1
    this.#release(client)
    if (!client.hasLeft || !client.events.isEmpty) this.#serve(client)
  }

  #release(client: ClientConnection): void {
    client.worker?.clients.delete(client.connectionId)
    client.worker = undefined
    this.#unserved.delete(client)
    client.resumeReading(PauseReason.WORKER_FULL | PauseReason.WORKER_ASKED)
  }

  /** Gives the client a worker, which hears at once who it is and what has happened. */
  #serve(client: ClientConnection): void {
    const available = this.#workers.filter((worker) => worker.isAvailable)
    if (available.length === 0) {
      this.#unserved.add(client)
      if (!client.hasLeft && !client.events.isEmpty) this.#awaitWorker(client)
      return
    }
    clearTimeout(client.noWorkerTimer)
    client.noWorkerTimer = undefined
    this.#unserved.delete(client)
    const worker = this.#choose(available, client)
    client.worker = worker
    client.lastWorker = worker.instance
    worker.clients.set(client.connectionId, client)
    if (!client.hasLeft) worker.clientCount += 1
    worker.link.dialect.tellClient(worker.link, client, client.events.handledCount)
    if (worker.isFull) client.pauseReading(PauseReason.WORKER_FULL)
    this.#tellWaiting(client)
  }

  #awaitWorker(client: ClientConnection): void {
    client.pauseReading(PauseReason.EVENTS_WAIT)
    const { log, noWorkerTimeoutMs } = this.#options
    client.noWorkerTimer ??= setTimeout(() => {
      log.warn({ clientId: client.clientId, noWorkerTimeoutMs }, 'no worker came for a client; it is closed')
      client.close(CloseCode.NO_WORKER, 'no worker', 'no_worker')
    }, noWorkerTimeoutMs)
  }

  #choose(workers: readonly WorkerPeer[], client: ClientConnection): WorkerPeer {
    const { log, router } = this.#options
    const { body = EMPTY, command = Command.CLIENT_CONTEXT } = client.events.nextToTell ?? {}
    const bytes = body instanceof Uint8Array ? body : EMPTY
    try {
      const chosen = router(workers, client, command, bytes)
      const worker = workers.find((known) => known === chosen)
      if (worker !== undefined) return worker
      log.error({ clientId: client.clientId }, 'the router returned something that is none of the workers')
    } catch (err) {
      log.error({ clientId: client.clientId, err }, 'the router threw')
    }
    return leastConnections(workers, client, command, bytes) as WorkerPeer
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

/** An event that workers died with is told alone: not behind another such one, and with nothing of its client behind it. */
function isItsTurn(event: ClientEvent, client: ClientConnection, worker: WorkerPeer): boolean {
  if (worker.suspect === client) return false
  if (event.deaths < SUSPECT_DEATHS || !worker.link.dialect.acknowledges) return true
  if (worker.suspect !== undefined) {
    worker.suspectsWaiting.add(client)
    return false
  }
  worker.suspect = client
  return true
}
