import type { Log } from '@gatewayworker/protocol'
import { LogThrottle } from '../log-throttle.ts'
import { REFUSALS, type Refusal } from './admission.ts'

/** What whoever runs the gateway may do about it. */
const ADVICE: Record<Refusal, string> = {
  connectionRate: 'one address makes connections too often; if it is a proxy, say --trusted-proxy',
  connections: 'there are as many connections as --max-connections allows',
  connectionsPerAddress: 'one address has too many connections; if it is a proxy, say --trusted-proxy',
  handshakeTimeout: 'a connection did not become a client within --handshake-timeout',
  origin: 'a page whose origin --allow-origin does not name wants to connect',
  proxyHeader: 'a trusted proxy sends no PROXY header, which --proxy-protocol asks for',
  token: 'a client has no valid token',
}

/** Counts who is not let in, by the reason, and logs it: the first of each reason, and then every ten seconds how many there were. */
export class RefusalLog {
  readonly counts = forEachRefusal(() => 0)
  readonly #log: Log
  readonly #throttles = forEachRefusal(() => new LogThrottle())

  constructor(log: Log) {
    this.#log = log
  }

  /** `details` say who it was; nothing secret may be in them. */
  add(reason: Refusal, details: object, now = performance.now()): void {
    this.counts[reason] += 1
    const refused = this.#throttles[reason].add(now)
    if (refused > 0) this.#log.warn({ reason, ...details, refused }, `refused: ${ADVICE[reason]}`)
  }
}

function forEachRefusal<T>(make: () => T): Record<Refusal, T> {
  return Object.fromEntries(REFUSALS.map((reason) => [reason, make()])) as Record<Refusal, T>
}
