import { inSlices } from './slices.ts'

/** A client as the heartbeat sees it. */
export interface Beating {
  destroy(reason: 'heartbeat'): void
  readonly isPaused: boolean
  readonly isReceiveOnly: boolean
  silentChecks: number
}

export interface HeartbeatOptions<Client extends Beating> {
  clients(): Iterable<Client>
  /** Seconds; 0 for no heartbeat. */
  pingIntervalS: number
  pingNotResponseLimit: number
  /** Sends the client the ping data. */
  ping?(client: Client): void
}

/**
 * Pings quiet clients and destroys silent ones, by PHP's rules (wire.md section 5): with a limit a check runs every half interval; the
 * count of a client that spoke since the last check is -1; a check that finds twice the limit destroys the client, any other adds one.
 * The ping goes out at every check, but not when the count has just become 0 nor, with a limit, when it is odd.
 * A client that we ourselves do not read is left alone: what it says cannot be heard. One that can say nothing is pinged, and never destroyed.
 */
export class Heartbeat<Client extends Beating> {
  readonly #options: HeartbeatOptions<Client>
  #timer: NodeJS.Timeout | undefined

  constructor(options: HeartbeatOptions<Client>) {
    this.#options = options
  }

  start(): void {
    const { pingIntervalS, pingNotResponseLimit } = this.#options
    if (pingIntervalS <= 0) return
    const everyMs = pingNotResponseLimit > 0 ? pingIntervalS * 500 : pingIntervalS * 1_000
    this.#timer = setInterval(() => void this.check(), everyMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** One check of all clients, in slices; a check that is due while one is under way falls out. */
  readonly check = inSlices(
    () => this.#options.clients(),
    (client) => this.#checkClient(client),
  )

  #checkClient(client: Client): void {
    const { ping, pingNotResponseLimit: limit } = this.#options
    if (client.isPaused) return
    if (limit > 0 && client.silentChecks >= limit * 2 && !client.isReceiveOnly) {
      client.destroy('heartbeat')
      return
    }
    client.silentChecks += 1
    if (client.silentChecks === 0 || (limit > 0 && client.silentChecks % 2 === 1)) return
    ping?.(client)
  }
}
