import type { Log } from '@gatewayworker/protocol'
import { type ClientConnection, PauseReason } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { LogThrottle } from './log-throttle.ts'

export interface UnservedClientsOptions {
  /** A worker that leaves is linked still: one that takes its place may take its time to start, and no client is closed meanwhile. */
  isSuccessorExpected(): boolean
  log: Log
  /** How long a client with events waits for a worker before it is closed with 1013. */
  noWorkerTimeoutMs: number
  /** No second worker has come: those whose event may crash a worker are to be served by the only one. */
  onNoSecondWorker(): void
}

/** Clients without a worker, in the order in which they came to be so. */
export class UnservedClients implements Iterable<ClientConnection> {
  readonly #clients = new Set<ClientConnection>()
  readonly #options: UnservedClientsOptions
  /** Runs while a suspect event waits for a second worker. */
  #secondWorkerTimer: NodeJS.Timeout | undefined
  readonly #throttle = new LogThrottle()

  constructor(options: UnservedClientsOptions) {
    this.#options = options
  }

  /** A copy: whoever goes through it may serve them. */
  [Symbol.iterator](): Iterator<ClientConnection> {
    return [...this.#clients].values()
  }

  /** `hasWorker`: there is one, which is left to others for a while. */
  add(client: ClientConnection, hasWorker: boolean): void {
    this.#clients.add(client)
    this.#await(client)
    const { noWorkerTimeoutMs } = this.#options
    if (hasWorker) this.#secondWorkerTimer ??= setTimeout(this.#onNoSecondWorker, noWorkerTimeoutMs / 2)
  }

  /** A worker that has left is gone: those that waited for its successor wait for any worker, as long as that may take. */
  awaitWorker(): void {
    for (const client of this.#clients) this.#await(client)
  }

  delete(client: ClientConnection): void {
    clearTimeout(client.noWorkerTimer)
    client.noWorkerTimer = undefined
    this.#clients.delete(client)
  }

  #await(client: ClientConnection): void {
    if (client.hasLeft || client.events.isEmpty) return
    client.pauseReading(PauseReason.EVENTS_WAIT)
    const { isSuccessorExpected, noWorkerTimeoutMs } = this.#options
    if (!isSuccessorExpected()) client.noWorkerTimer ??= setTimeout(() => this.#onNoWorker(client), noWorkerTimeoutMs)
  }

  readonly #onNoSecondWorker = (): void => {
    this.#secondWorkerTimer = undefined
    this.#options.onNoSecondWorker()
  }

  #onNoWorker(client: ClientConnection): void {
    const { log, noWorkerTimeoutMs } = this.#options
    const clients = this.#throttle.add()
    if (clients > 0) {
      log.warn({ clientId: client.clientId, clients, noWorkerTimeoutMs }, 'no worker came for a client; it is closed')
    }
    client.close(CloseCode.NO_WORKER, 'no worker', 'no_worker')
  }
}
