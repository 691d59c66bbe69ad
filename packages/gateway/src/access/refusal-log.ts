import type { Log } from '@gatewayworker/protocol'
import { REFUSALS, type Refusal } from './admission.ts'

/** What whoever runs the gateway may do about it. */
const ADVICE: Record<Refusal, string> = {
  connectionRate: 'one address makes connections too often; if it is a proxy, say --trusted-proxies',
  connections: 'there are as many connections as --max-connections allows',
  connectionsPerAddress: 'one address has too many connections; if it is a proxy, say --trusted-proxies',
  handshakeTimeout: 'a connection did not become a client within --handshake-timeout',
  origin: 'a page whose origin --allow-origin does not name wants to connect',
  proxyHeader: 'a trusted proxy sends no PROXY header, which --proxy-protocol asks for',
  token: 'a client has no valid token',
}

/** A refusal of one kind is logged this often at most, in milliseconds. */
const PAUSE_MS = 10_000

/** Counts who is not let in, by the reason, and logs the first of each reason, and then how many there were every ten seconds. */
export class RefusalLog {
  readonly counts = Object.fromEntries(REFUSALS.map((reason) => [reason, 0])) as Record<Refusal, number>
  readonly #log: Log
  readonly #logged: Partial<Record<Refusal, { at: number; count: number }>> = {}

  constructor(log: Log) {
    this.#log = log
  }

  /** `details` say who it was; nothing secret may be in them. */
  add(reason: Refusal, details: object, now = performance.now()): void {
    this.counts[reason] += 1
    const last = this.#logged[reason] ?? { at: Number.NEGATIVE_INFINITY, count: 0 }
    if (now < last.at + PAUSE_MS) return
    const count = this.counts[reason]
    this.#log.warn({ reason, ...details, refused: count - last.count }, `refused: ${ADVICE[reason]}`)
    this.#logged[reason] = { at: now, count }
  }
}
