import type { Announcement } from './describe-register.ts'
import type { RegisterPeer } from './register-peer.ts'

/** The addresses that are online, and the connections that keep each so. */
export class OnlineGateways {
  readonly #peers = new Map<string, Set<RegisterPeer>>()

  /** Each address once, in the order in which they came. */
  get addresses(): string[] {
    return [...this.#peers.keys()]
  }

  /** One for each connection. */
  get announcements(): Announcement[] {
    return [...this.#peers].flatMap(([address, peers]) => Array.from(peers, ({ ip }) => ({ address, from: ip })))
  }

  /** A connection announces an address, in place of the one that it announced before; returns another that keeps the same online, if there is one. */
  add(peer: RegisterPeer, address: string): RegisterPeer | undefined {
    this.delete(peer)
    const peers = this.#peers.get(address) ?? new Set()
    const [other] = peers
    this.#peers.set(address, peers.add(peer))
    peer.gateway = address
    return other
  }

  /** A connection announces nothing any more. */
  delete(peer: RegisterPeer): void {
    if (peer.gateway === undefined) return
    const peers = this.#peers.get(peer.gateway)
    peers?.delete(peer)
    if (peers?.size === 0) this.#peers.delete(peer.gateway)
    peer.gateway = undefined
  }
}
