import type { IncomingMessage } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ClientOrigin, Log } from '@gatewayworker/protocol'
import { plainAddress } from './access/address-set.ts'
import type { Refusal } from './access/admission.ts'
import type { Doorkeeper, Verdict, Visitor } from './access/doorkeeper.ts'
import type { Peer } from './access/forwarded.ts'
import type { Claims } from './access/token-verifier.ts'
import { type SslOptions, TlsLayer } from './tls-layer.ts'

/**
 * How many connections may wait to be accepted, if the system allows as many (`net.core.somaxconn`, 4096). With Node's 511 most of those who
 * all come back at once are not heard, and try again after 1, 3 and 7 s.
 */
const BACKLOG = 65_535

/** Makes clients of connections: it speaks their protocol. */
export interface ClientAcceptor {
  /** A connection has come. Once it is a client it is to be admitted; if it is none in time it ends. */
  accept(socket: Socket): void
  /** Ends a connection that is not let in, and says why if the protocol can; without it the connection is just ended. */
  refuse?(socket: Socket, refusal: Refusal): void
}

/** Where connections wait until they are clients. */
export interface Reception {
  /** The connection is a client from now on, and looks after itself; tells where it comes from: `peer`, if it was examined. */
  admit(socket: Socket, peer?: Peer): ClientOrigin
  /** Whether the sender of a request may become a client; undefined when the connection has ended. */
  examine(socket: Socket, request: IncomingMessage): Promise<Verdict | undefined>
  /** Whether pages of an origin may connect. */
  allowsOrigin(origin: string | undefined): boolean
  /** The connection is not let in: it is counted, and ended by the caller. */
  onRefused(socket: Socket, refusal: Refusal, why?: string): void
}

export interface ClientPortOptions {
  createAcceptor(reception: Reception): ClientAcceptor
  doorkeeper: Doorkeeper
  /** How long a connection may take to become a client, in milliseconds; TLS may take as long before. */
  handshakeTimeoutMs: number
  host: string
  /** How long a connection may be silent before the kernel asks whether the other side is there, in milliseconds; 0 for ever. */
  keepAliveMs: number
  log: Log
  /** 0 for any free one; processes of one node:cluster share it. */
  port: number
  /** What has to be done before somebody becomes a client of whom a token says who it is. */
  prepare(claims: Claims): Promise<void>
  /** With it clients speak TLS. */
  ssl?: SslOptions | undefined
}

/** A connection that is no client yet. */
interface Stranger {
  since: number
  visitor: Visitor
}

/**
 * Where clients connect, whatever they speak: listens, and sends away who does not become a client in time.
 *
 * Invariant: a connection is in `#strangers` or a client, never both; after `close` no connection becomes a client.
 */
export class ClientPort implements Reception {
  readonly #acceptor: ClientAcceptor
  readonly #options: ClientPortOptions
  readonly #server: Server
  /** Connections that are no clients yet, the oldest first. */
  readonly #strangers = new Map<Socket, Stranger>()
  readonly #tls: TlsLayer | undefined
  #timer: NodeJS.Timeout | undefined

  /** Throws if certificate and key do not go together. */
  constructor(options: ClientPortOptions) {
    const { createAcceptor, handshakeTimeoutMs, log, ssl } = options
    this.#options = options
    this.#acceptor = createAcceptor(this)
    if (ssl !== undefined) {
      const onFailed = (socket: Socket | undefined, why: string) => this.#onTlsFailed(socket, why)
      this.#tls = new TlsLayer({ handshakeTimeoutMs, log, onFailed, onSecure: this.#onSecure, ssl })
    }
    // Half open, so that the protocol decides what a client may still be told that has said all it has to say.
    const keepAlive = { keepAlive: options.keepAliveMs > 0, keepAliveInitialDelay: options.keepAliveMs }
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, ...keepAlive }, this.#onConnection)
  }

  /** Where it listens. */
  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }

  /** Rejects with the system's error if the port cannot be had. */
  async listen(): Promise<void> {
    const { handshakeTimeoutMs, host, log, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ backlog: BACKLOG, host, port }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => log.error({ err }, 'the client port failed'))
        resolve()
      })
    })
    this.#timer = setInterval(this.#sendSlowOnesAway, handshakeTimeoutMs / 5)
  }

  /** Takes no more connections, and ends those that are no clients yet, and would become some too late. */
  close(): void {
    clearInterval(this.#timer)
    this.#server.close()
    for (const socket of this.#strangers.keys()) socket.destroy()
  }

  /** New connections are shown this certificate. Throws, and changes nothing, if it and the key do not go together. */
  renewCertificate(ssl: SslOptions): void {
    this.#tls?.renew(ssl)
  }

  admit(socket: Socket, peer?: Peer): ClientOrigin {
    const stranger = this.#strangers.get(socket)
    this.#strangers.delete(socket)
    const { address = '', port = 0 } = peer ?? stranger?.visitor.peer ?? {}
    return { gatewayPort: socket.localPort ?? 0, remoteAddress: address, remotePort: port }
  }

  async examine(socket: Socket, request: IncomingMessage): Promise<Verdict | undefined> {
    const { doorkeeper, prepare } = this.#options
    const stranger = this.#strangers.get(socket)
    if (stranger === undefined) return undefined
    const verdict = await doorkeeper.examine(stranger.visitor, request)
    if ('claims' in verdict && verdict.claims !== undefined) await prepare(verdict.claims)
    return this.#strangers.has(socket) ? verdict : undefined
  }

  allowsOrigin(origin: string | undefined): boolean {
    return this.#options.doorkeeper.allowsOrigin(origin)
  }

  onRefused(socket: Socket, refusal: Refusal, why?: string): void {
    const stranger = this.#strangers.get(socket)
    if (stranger !== undefined) this.#options.doorkeeper.onRefused(stranger.visitor, refusal, why)
  }

  readonly #onConnection = (socket: Socket): void => {
    const { doorkeeper } = this.#options
    const address = plainAddress(socket.remoteAddress ?? '')
    if (address === undefined) {
      socket.destroy() // it has gone already
      return
    }
    const visitor = doorkeeper.enter({ address, port: socket.remotePort ?? 0 })
    if (visitor === undefined) {
      socket.on('error', this.#onConnectionError)
      this.#refuse(socket, 'connections')
      return
    }
    this.#await(socket, visitor)
    socket.once('close', () => doorkeeper.leave(visitor))
    doorkeeper.identify(visitor, socket, (refusal) => {
      if (refusal !== undefined) this.#refuse(socket, refusal)
      else if (this.#tls === undefined) this.#acceptor.accept(socket)
      else this.#tls.secure(socket)
    })
  }

  readonly #onSecure = (secureSocket: TLSSocket, socket: Socket): void => {
    const stranger = this.#strangers.get(socket)
    if (stranger === undefined) return // it was sent away meanwhile
    this.#strangers.delete(socket)
    this.#await(secureSocket, stranger.visitor)
    this.#acceptor.accept(secureSocket)
  }

  #onTlsFailed(socket: Socket | undefined, why: string): void {
    if (socket !== undefined) this.onRefused(socket, 'tls', why)
  }

  #await(socket: Socket, visitor: Visitor): void {
    this.#strangers.set(socket, { since: performance.now(), visitor })
    socket.once('close', () => this.#strangers.delete(socket))
    socket.on('error', this.#onConnectionError)
  }

  #refuse(socket: Socket, refusal: Refusal): void {
    this.#strangers.delete(socket)
    if (this.#tls !== undefined || this.#acceptor.refuse === undefined) socket.destroy()
    else this.#acceptor.refuse(socket, refusal)
  }

  readonly #onConnectionError = (err: Error): void => {
    this.#options.log.debug({ err }, 'a client connection broke')
  }

  readonly #sendSlowOnesAway = (): void => {
    const { doorkeeper, handshakeTimeoutMs } = this.#options
    const tooLate = performance.now() - handshakeTimeoutMs
    for (const [socket, { since, visitor }] of this.#strangers) {
      if (since > tooLate) return // so are all that follow
      doorkeeper.onTooLate(visitor)
      socket.destroy()
    }
  }
}
