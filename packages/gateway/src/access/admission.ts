import { Rate, type RateCosts, rateCosts } from '../rate.ts'
import { type AddressSet, networkOf } from './address-set.ts'

/** Why a connection is not let in. */
export const REFUSALS = [
  /** What it asked for is written wrong, or is more than is taken. */
  'badRequest',
  /** Its address makes connections too often. */
  'connectionRate',
  /** There are as many as the gateway takes. */
  'connections',
  /** There are as many as it takes of one address. */
  'connectionsPerAddress',
  /** It did not become a client in time. */
  'handshakeTimeout',
  /** It asked for something else, as health checks and people with a browser do. */
  'notWebSocket',
  /** A page of this origin may not connect. */
  'origin',
  /** It comes from a trusted proxy and does not begin with a PROXY header. */
  'proxyHeader',
  /** Its TLS handshake failed. */
  'tls',
  /** It brought no token, or none that is valid. */
  'token',
] as const

/** Why a connection is not let in. */
export type Refusal = (typeof REFUSALS)[number]

export interface AdmissionOptions {
  /** New connections a second of one address, and how many at once; 0 for any number. */
  connectionRate: number
  /** Those that no limit of an address holds for. */
  exempt: AddressSet
  /** Of everybody together; 0 for any number. */
  maxConnections: number
  maxConnectionsPerAddress: number
}

/** What is known of the connections of one network. */
interface Network {
  open: number
  rate: Rate
}

/** How often addresses are looked through for those that may be forgotten, in milliseconds, while connections come. */
const SWEEP_MS = 1_000

/**
 * How many connections there are, in all and of each address, and whether one more may come.
 *
 * Invariants: who was let in holds one place until it is given back; an address that nobody holds a place from, and whose rate is not used
 * up, is forgotten, so that what is known of addresses is bounded by the connections of a few seconds.
 */
export class Admission {
  readonly #costs: RateCosts
  readonly #networks = new Map<string, Network>()
  readonly #options: AdmissionOptions
  #open = 0
  #sweptAt = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#costs = rateCosts(options.connectionRate, 0)
  }

  /** Takes one of all places, or says why not. */
  enter(): Refusal | undefined {
    const { maxConnections } = this.#options
    if (maxConnections > 0 && this.#open >= maxConnections) return 'connections'
    this.#open += 1
    return undefined
  }

  leave(): void {
    this.#open -= 1
  }

  /** Takes one of the places of an address, or says why not. */
  enterFrom(address: string, now = performance.now()): Refusal | undefined {
    const { exempt, maxConnectionsPerAddress } = this.#options
    if (exempt.has(address)) return undefined
    this.#sweep(now)
    const name = networkOf(address)
    const network = this.#networks.get(name) ?? { open: 0, rate: new Rate(this.#costs) }
    if (network.rate.isOver(now)) return 'connectionRate'
    if (maxConnectionsPerAddress > 0 && network.open >= maxConnectionsPerAddress) return 'connectionsPerAddress'
    network.rate.charge(now, 1, 0)
    network.open += 1
    this.#networks.set(name, network)
    return undefined
  }

  leaveFrom(address: string): void {
    if (this.#options.exempt.has(address)) return
    const network = this.#networks.get(networkOf(address))
    if (network !== undefined) network.open -= 1
  }

  /** How many addresses are remembered, for proving that none stays. */
  get networkCount(): number {
    return this.#networks.size
  }

  #sweep(now: number): void {
    if (now < this.#sweptAt + SWEEP_MS) return
    this.#sweptAt = now
    for (const [name, { open, rate }] of this.#networks) {
      if (open === 0 && rate.isWhole(now)) this.#networks.delete(name)
    }
  }
}
