import type { Log } from '@gatewayworker/protocol'
import { LogThrottle } from '../log-throttle.ts'
import { REFUSALS, type Refusal } from './admission.ts'

/** What whoever runs the gateway may do about it. */
const ADVICE: Record<Refusal, string> = {
  badRequest: 'a request is written wrong; it was told what is wrong',
  connectionRate: 'one address makes connections too often; if it is a proxy, say --trusted-proxy',
  connections: 'there are as many connections as --max-connections allows',
  connectionsPerAddress: 'one address has too many connections; if it is a proxy, say --trusted-proxy',
  handshakeTimeout: 'a connection did not become a client within --handshake-timeout',
  notWebSocket:
    'a request is not for a WebSocket: a health check, or a proxy that does not pass on Upgrade and Connection',
  origin: 'a page whose origin --allow-origin does not name wants to connect',
  proxyHeader: 'a trusted proxy sends no PROXY header, which --proxy-protocol asks for',
  tls: 'a TLS handshake failed: a client that does not trust the certificate, or speaks no TLS',
  token: 'a client has no valid token',
}

/** What is nobody's mistake, as a rule. */
const LEVEL: Partial<Record<Refusal, 'info'>> = { notWebSocket: 'info' }

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
    if (refused > 0) this.#log[LEVEL[reason] ?? 'warn']({ reason, ...details, refused }, `refused: ${ADVICE[reason]}`)
  }
}

function forEachRefusal<T>(make: () => T): Record<Refusal, T> {
  return Object.fromEntries(REFUSALS.map((reason) => [reason, make()])) as Record<Refusal, T>
}
