import type { Log } from '@gatewayworker/protocol'
import { type ClientConnection, type ClientCounters, PauseReason } from './client-connection.ts'
import { CloseCode } from './close-codes.ts'
import { LogThrottle } from './log-throttle.ts'

/** What happens to a client that sends more than its rate: it is closed, what is too much is dropped, or it is not read until it may go on. */
export type RatePolicy = 'close' | 'drop' | 'pause'

/** What is done about clients that have used up their rate. */
export class RateLimiter {
  readonly #counters: ClientCounters
  readonly #log: Log
  readonly #paused = new Set<ClientConnection>()
  readonly #policy: RatePolicy
  readonly #throttle = new LogThrottle()

  constructor(policy: RatePolicy, counters: ClientCounters, log: Log) {
    this.#counters = counters
    this.#log = log
    this.#policy = policy
  }

  /** Something came of a client that has used up its rate: whether it is taken all the same. */
  takes(client: ClientConnection): boolean {
    this.#note(client)
    switch (this.#policy) {
      case 'close':
        client.close(CloseCode.RATE_LIMITED, 'sends too much', 'rate_limited')
        return false
      case 'drop':
        return false
      default:
        // It was read already: nothing is lost, the client waits the longer for it.
        this.#pause(client)
        return true
    }
  }

  /** A client has used up its rate with what is no message: where it is closed for that, or loses something, that is with the next message. */
  onOver(client: ClientConnection): void {
    if (this.#policy !== 'pause') return
    this.#note(client)
    this.#pause(client)
  }

  /** Reads those again who have waited long enough; to be called every now and then. */
  release(now: number): void {
    for (const client of this.#paused) {
      if (!client.hasLeft && client.rate.isOver(now)) continue
      this.#paused.delete(client)
      client.resumeReading(PauseReason.SENDS_TOO_MUCH)
    }
  }

  #pause(client: ClientConnection): void {
    client.pauseReading(PauseReason.SENDS_TOO_MUCH)
    this.#paused.add(client)
  }

  #note(client: ClientConnection): void {
    if (client.rate.wasOver) return
    client.rate.wasOver = true
    this.#counters.limitedClients += 1
    const { clientId, remoteAddress } = client
    const clients = this.#throttle.add()
    if (clients === 0) return
    this.#log.warn({ clientId, address: remoteAddress, policy: this.#policy, clients }, 'a client sends too much')
  }
}
