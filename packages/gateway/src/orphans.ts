import type { ClientConnection } from './client-connection.ts'
import type { WorkerPeer } from './worker-peer.ts'

/** How long a worker may take to link again, once one has. */
const RETURN_MS = 10_000

/**
 * Clients that were closed because the gateway was cut off, and whose ends wait to be told.
 *
 * The worker that had one runs its `onClose` by itself: when it hears that this is another process now, if it has not already. So it must not be told,
 * and neither must others, unless it is dead; and that is known when it is back, or is not though others are.
 */
export class Orphans {
  readonly #clients = new Set<ClientConnection>()
  readonly #onAbandoned: (client: ClientConnection) => void
  #timer: NodeJS.Timeout | undefined

  /** `onAbandoned` is called with each whose worker did not come back. */
  constructor(onAbandoned: (client: ClientConnection) => void) {
    this.#onAbandoned = onAbandoned
  }

  has(client: ClientConnection): boolean {
    return this.#clients.has(client)
  }

  add(clients: Iterable<ClientConnection>): void {
    for (const client of clients) this.#clients.add(client)
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** A worker is there: returns those that it had, which are none any more. */
  claim(worker: WorkerPeer): ClientConnection[] {
    if (this.#clients.size === 0) return []
    this.#timer ??= setTimeout(this.#abandon, RETURN_MS).unref()
    const { instance } = worker
    if (instance === undefined) return []
    const claimed = [...this.#clients].filter(({ lastWorker }) => lastWorker === instance)
    for (const client of claimed) this.#clients.delete(client)
    return claimed
  }

  readonly #abandon = (): void => {
    const clients = [...this.#clients]
    this.#clients.clear()
    this.#timer = undefined
    for (const client of clients) this.#onAbandoned(client)
  }
}
