import { Command, type CommandToWorker, EMPTY, Flag, type Hello, type Link, type Log } from '@gatewayworker/protocol'
import { type ClientConnection, PauseReason } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { leastConnections, type RoutableWorker, type Router } from './router.ts'

/** What an event carries: a message's bytes, or a value. */
export type EventBody = Uint8Array | object

/** An event that waits for a worker. */
export interface HeldEvent {
  readonly body: EventBody
  readonly command: CommandToWorker
  readonly flag: number
}

/** A BusinessWorker on the other side of a link. */
export class WorkerPeer implements RoutableWorker {
  readonly clients = new Set<ClientConnection>()
  /** How often its link got full. */
  timesFull = 0
  /** Random name of the worker's process; PHP's have none but their key. */
  readonly instance: string
  readonly key: string
  readonly link: Link

  constructor(link: Link, instance: string, key: string) {
    this.link = link
    this.instance = instance
    this.key = key
  }

  get clientCount(): number {
    return this.clients.size
  }
}

export interface WorkerPoolOptions {
  log: Log
  noWorkerTimeoutMs: number
  router: Router
}

/**
 * The workers of a gateway, and which of them serves which client.
 *
 * Invariants: a client's events go to one worker, in order, as long as that worker's link lives; a worker is told about a client
 * (CLIENT_CONTEXT) before its first event; without a worker a client is not read and its events wait; a worker whose link is full
 * gets nothing new read for it.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  /** Clients with events that wait for a worker, in the order in which they began to wait. */
  readonly #waiting = new Set<ClientConnection>()
  #workers: readonly WorkerPeer[] = []

  constructor(options: WorkerPoolOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#workers.length
  }

  /** A worker is there. If it is one that we know, its old link is of no use any more. */
  add(link: Link, hello: Hello): WorkerPeer {
    const label = hello.role.kind === 'worker' ? hello.role.workerKey : ''
    const key = `${link.peer.slice(0, link.peer.lastIndexOf(':'))}:${label}`
    const worker = new WorkerPeer(link, hello.instance ?? key, key)
    for (const old of this.#workers) if (old.instance === worker.instance) old.link.destroy()
    this.#workers = [...this.#workers, worker]
    this.#options.log.info({ worker: worker.key, workers: this.size }, 'worker linked')
    for (const client of this.#waiting) this.#deliverHeld(client)
    if (link.isFull) this.onFull(worker) // nobody was there to hear it when it got full
    return worker
  }

  /** The worker's link has ended: each of its clients gets another worker with its next event. */
  remove(worker: WorkerPeer): void {
    this.#workers = this.#workers.filter((other) => other !== worker)
    this.#options.log.info(
      { worker: worker.key, clients: worker.clientCount, timesFull: worker.timesFull, workers: this.size },
      'worker gone',
    )
    for (const client of worker.clients) this.#unbind(client)
  }

  /** Hands an event of a client to its worker, or keeps it until there is one. */
  deliver(client: ClientConnection, command: CommandToWorker, flag: number, body: EventBody = EMPTY): void {
    if (client.worker?.link.isClosed) this.#unbind(client)
    const worker = client.heldEvents === undefined ? (client.worker ?? this.#assign(client, command, body)) : undefined
    if (worker === undefined) this.#hold(client, { command, flag, body })
    else this.#tell(worker.link, client, { command, flag, body })
  }

  /** The last event of a client. A client that no worker ever heard of is forgotten. */
  deliverClose(client: ClientConnection): void {
    clearTimeout(client.noWorkerTimer)
    if (client.isKnownToWorkers) {
      this.deliver(client, Command.ON_CLOSE, Flag.SCALAR)
    } else {
      this.#waiting.delete(client)
      client.heldEvents = undefined
    }
    this.#unbind(client)
  }

  /** Tells the client's worker what its session is now. `ownChange`: the flag, if the worker asked for it, that it was its own doing. */
  tellSession(client: ClientConnection, by: Link, ownChange: number): void {
    const link = client.worker?.link
    link?.dialect.tellSession(link, client, link === by ? ownChange : 0)
  }

  /** A worker's link is full: its clients are not read until it has room. */
  onFull(worker: WorkerPeer): void {
    worker.timesFull += 1
    // Said once, since a link at its limit gets full and drains many times a second.
    if (worker.timesFull === 1) {
      const { key, clientCount } = worker
      this.#options.log.warn({ worker: key, clients: clientCount }, 'a worker reads too slowly; its clients wait')
    }
    for (const client of worker.clients) client.pauseReading(PauseReason.WORKER_FULL)
  }

  onDrain(worker: WorkerPeer): void {
    for (const client of worker.clients) client.resumeReading(PauseReason.WORKER_FULL)
  }

  #tell(link: Link, client: ClientConnection, { command, flag, body }: HeldEvent): void {
    try {
      link.dialect.tellEvent(link, client, command, flag, body)
    } catch (err) {
      // With its session, which legacy workers are sent each time, a message can be longer than they take.
      this.#options.log.error(
        { clientId: client.clientId, command, err },
        'an event cannot be told; its client is closed',
      )
      client.close(CloseCode.TOO_BIG, 'message and session are too big')
    }
  }

  #assign(client: ClientConnection, command: CommandToWorker, body: EventBody): WorkerPeer | undefined {
    const living = this.#workers.filter(({ link }) => !link.isClosed)
    if (living.length === 0) return undefined
    const worker = this.#choose(living, client, command, body)
    client.worker = worker
    client.isKnownToWorkers = true
    worker.clients.add(client)
    worker.link.dialect.tellClient(worker.link, client)
    if (worker.link.isFull) client.pauseReading(PauseReason.WORKER_FULL)
    return worker
  }

  #choose(
    workers: readonly WorkerPeer[],
    client: ClientConnection,
    command: CommandToWorker,
    body: EventBody,
  ): WorkerPeer {
    const { log, router } = this.#options
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

  #hold(client: ClientConnection, event: HeldEvent): void {
    if (client.heldEvents !== undefined) {
      client.heldEvents.push(event)
      return
    }
    client.heldEvents = [event]
    this.#waiting.add(client)
    if (client.hasLeft) return
    client.pauseReading(PauseReason.NO_WORKER)
    const { log, noWorkerTimeoutMs } = this.#options
    client.noWorkerTimer = setTimeout(() => {
      log.warn({ clientId: client.clientId, noWorkerTimeoutMs }, 'no worker came for a client; it is closed')
      client.close(CloseCode.NO_WORKER, 'no worker')
    }, noWorkerTimeoutMs)
  }

  #deliverHeld(client: ClientConnection): void {
    const events = client.heldEvents ?? []
    clearTimeout(client.noWorkerTimer)
    client.heldEvents = undefined
    this.#waiting.delete(client)
    for (const { command, flag, body } of events) this.deliver(client, command, flag, body)
    if (client.hasLeft) this.#unbind(client)
    else client.resumeReading(PauseReason.NO_WORKER)
  }

  #unbind(client: ClientConnection): void {
    client.worker?.clients.delete(client)
    client.worker = undefined
    client.resumeReading(PauseReason.WORKER_FULL | PauseReason.WORKER_ASKED)
  }
}
