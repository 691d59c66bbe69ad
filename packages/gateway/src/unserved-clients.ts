import type { Log } from '@gatewayworker/protocol'
import { type ClientConnection, PauseReason } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { LogThrottle } from './log-throttle.ts'

export interface UnservedClientsOptions {
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
    const { noWorkerTimeoutMs } = this.#options
    this.#clients.add(client)
    if (!client.hasLeft && !client.events.isEmpty) {
      client.pauseReading(PauseReason.EVENTS_WAIT)
      client.noWorkerTimer ??= setTimeout(() => this.#onNoWorker(client), noWorkerTimeoutMs)
    }
    if (hasWorker) this.#secondWorkerTimer ??= setTimeout(this.#onNoSecondWorker, noWorkerTimeoutMs / 2)
  }

  delete(client: ClientConnection): void {
    clearTimeout(client.noWorkerTimer)
    client.noWorkerTimer = undefined
    this.#clients.delete(client)
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
