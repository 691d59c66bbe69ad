import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Log } from '@gatewayworker/protocol'
import { AddressSet } from './address-set.ts'
import { Admission, type Refusal } from './admission.ts'
import { type ForwardingHeader, forwardedPeer, type Peer } from './forwarded.ts'
import { OriginList } from './origins.ts'
import { readProxyHeader } from './read-proxy-header.ts'
import { RefusalLog } from './refusal-log.ts'
import { type TokenSource, takeToken } from './token-source.ts'
import { type Claims, InvalidToken, type TokenOptions, TokenVerifier } from './token-verifier.ts'

/** How clients prove with a JSON Web Token who they are. */
export interface JwtOptions extends TokenOptions {
  /** Whether a client is closed when its token expires. */
  closeAtExpiry?: boolean
  /** Where the token may be; the first that has one counts. */
  sources: readonly TokenSource[]
}

/** Who may connect. */
export interface AccessOptions {
  /** The origins of pages that may; none for all. */
  allowOrigins: readonly string[]
  /** New connections a second of one address; 0 for any number. */
  connectionRate: number
  /** Addresses that no limit of an address holds for. */
  exemptAddresses: readonly string[]
  forwardingHeader: ForwardingHeader
  /** Without it nobody needs a token. */
  jwt?: JwtOptions
  /** 0 for any number. */
  maxConnections: number
  /** 0 for any number. */
  maxConnectionsPerAddress: number
  /** Whether trusted proxies begin their connections with a PROXY header. */
  proxyProtocol: boolean
  /** Proxies that are believed whom they speak for. */
  trustedProxies: readonly string[]
}

/** A connection as far as is known whose it is. */
export interface Visitor {
  /** The address that it counts for. */
  countedFor?: string
  hasLeft?: boolean
  peer: Peer
}

/** Who may become a client: where it is, and what its token says if it needs one. */
export interface Admitted {
  claims?: Claims
  peer: Peer
}

/** What became of a request; `why` says more of a refusal. */
export type Verdict = Admitted | { refusal: Refusal; why?: string }

/**
 * Decides who may become a client, and counts who may not.
 *
 * ```
 * connection ─▶ total ─▶ PROXY header, from a trusted proxy ─▶ address ─▶ its protocol ─▶ request ─▶ address behind a proxy ─▶ origin ─▶ token
 * ```
 * Invariants: what a header says of an address counts only if a trusted proxy has said it; a visitor holds one place of all, and one of one address
 * at most, until it leaves; nothing is written or ended here.
 */
export class Doorkeeper {
  readonly refusals: RefusalLog
  readonly #admission: Admission
  readonly #forwardingHeader: ForwardingHeader
  readonly #origins: OriginList
  readonly #proxyProtocol: boolean
  readonly #tokenSources: readonly TokenSource[]
  readonly #tokens: TokenVerifier | undefined
  readonly #trusted: AddressSet

  /** Throws a TypeError that names what cannot be used. */
  constructor(options: AccessOptions, log: Log) {
    const { allowOrigins, exemptAddresses, forwardingHeader, jwt, proxyProtocol, trustedProxies } = options
    if (proxyProtocol && trustedProxies.length === 0) {
      throw new TypeError('the PROXY protocol needs --trusted-proxy: anybody else could claim any address')
    }
    this.refusals = new RefusalLog(log)
    this.#admission = new Admission({ ...options, exempt: new AddressSet(exemptAddresses) })
    this.#forwardingHeader = forwardingHeader
    this.#origins = new OriginList(allowOrigins)
    this.#proxyProtocol = proxyProtocol
    this.#tokenSources = jwt?.sources ?? []
    this.#tokens = jwt && new TokenVerifier(jwt)
    this.#trusted = new AddressSet(trustedProxies)
  }

  /** A connection has come; undefined if there is no room for it ("connections"). */
  enter(peer: Peer): Visitor | undefined {
    const refusal = this.#admission.enter()
    if (refusal === undefined) return { peer }
    this.#refuse(refusal, peer)
    return undefined
  }

  /** Finds out whose connection it is, at once or when its PROXY header has come. Tells why it is refused, or nothing: then its protocol may begin. */
  identify(visitor: Visitor, socket: Socket, onDecided: (refusal?: Refusal) => void): void {
    if (!this.#proxyProtocol || !this.#trusted.has(visitor.peer.address)) {
      onDecided(this.#count(visitor))
      return
    }
    readProxyHeader(
      socket,
      (peer) => {
        if (visitor.hasLeft) return
        visitor.peer = peer ?? visitor.peer
        onDecided(this.#count(visitor))
      },
      (error) => onDecided(this.#refuse('proxyHeader', visitor.peer, { why: (error as Error).message })),
    )
  }

  /** Whether the sender of a request may become a client. Takes the token out of the request. */
  async examine(visitor: Visitor, request: IncomingMessage): Promise<Verdict> {
    const { headers } = request
    visitor.peer = forwardedPeer(visitor.peer, headers, this.#forwardingHeader, this.#trusted)
    const { peer } = visitor
    const refusal = this.#count(visitor)
    if (refusal !== undefined) return { refusal }
    if (!this.#origins.allows(headers.origin))
      return { refusal: this.#refuse('origin', peer, { origin: headers.origin }) }
    if (this.#tokens === undefined) return { peer }
    const token = takeToken(request, this.#tokenSources)
    try {
      if (token === undefined) throw new InvalidToken('there is none')
      return { claims: await this.#tokens.verify(token), peer }
    } catch (error) {
      const why = (error as Error).message
      return { refusal: this.#refuse('token', peer, { why }), why }
    }
  }

  /** Whether pages of an origin may. */
  allowsOrigin(origin: string | undefined): boolean {
    return this.#origins.allows(origin)
  }

  /** A connection is not let in for a reason that is found elsewhere; `why` says more, and holds nothing of what the client has said. */
  onRefused({ peer }: Visitor, refusal: Refusal, why?: string): void {
    this.#refuse(refusal, peer, why === undefined ? {} : { why })
  }

  /** A connection did not become a client in time. */
  onTooLate(visitor: Visitor): void {
    this.onRefused(visitor, 'handshakeTimeout')
  }

  /** The visitor's connection has ended. */
  leave(visitor: Visitor): void {
    visitor.hasLeft = true
    this.#admission.leave()
    if (visitor.countedFor !== undefined) this.#admission.leaveFrom(visitor.countedFor)
  }

  /** Counts a visitor for its address. A proxy is not counted: it is told later for whom it speaks. */
  #count(visitor: Visitor): Refusal | undefined {
    const { countedFor, peer } = visitor
    if (countedFor !== undefined || this.#trusted.has(peer.address)) return undefined
    const refusal = this.#admission.enterFrom(peer.address)
    if (refusal !== undefined) return this.#refuse(refusal, peer)
    visitor.countedFor = peer.address
    return undefined
  }

  #refuse(refusal: Refusal, { address }: Peer, details: object = {}): Refusal {
    this.refusals.add(refusal, { address, ...details })
    return refusal
  }
}
