import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ClientOrigin, Log } from '@gatewayworker/protocol'
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
}

/** Where connections wait until they are clients. */
export interface Reception {
  /** The connection is a client from now on, and looks after itself; tells where it comes from. */
  admit(socket: Socket): ClientOrigin
}

export interface ClientPortOptions {
  createAcceptor(reception: Reception): ClientAcceptor
  /** How long a connection may take to become a client, in milliseconds; TLS may take as long before. */
  handshakeTimeoutMs: number
  host: string
  log: Log
  /** 0 for any free one; processes of one node:cluster share it. */
  port: number
  /** With it clients speak TLS. */
  ssl?: SslOptions | undefined
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
  /** Connections that are no clients yet, and when they came, the oldest first. */
  readonly #strangers = new Map<Socket, number>()
  readonly #tls: TlsLayer | undefined
  #timer: NodeJS.Timeout | undefined

  /** Throws if certificate and key do not go together. */
  constructor(options: ClientPortOptions) {
    const { createAcceptor, handshakeTimeoutMs, log, ssl } = options
    this.#options = options
    this.#acceptor = createAcceptor(this)
    if (ssl !== undefined) this.#tls = new TlsLayer({ handshakeTimeoutMs, log, onSecure: this.#onSecure, ssl })
    // Half open, so that the protocol decides what a client may still be told that has said all it has to say.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, this.#onConnection)
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

  admit(socket: Socket): ClientOrigin {
    this.#strangers.delete(socket)
    return readOrigin(socket)
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#await(socket)
    if (this.#tls === undefined) this.#acceptor.accept(socket)
    else this.#tls.secure(socket)
  }

  readonly #onSecure = (secureSocket: TLSSocket, socket: Socket): void => {
    if (!this.#strangers.delete(socket)) return // it was sent away meanwhile
    this.#await(secureSocket)
    this.#acceptor.accept(secureSocket)
  }

  #await(socket: Socket): void {
    this.#strangers.set(socket, performance.now())
    socket.once('close', () => this.#strangers.delete(socket))
    socket.on('error', this.#onConnectionError)
  }

  readonly #onConnectionError = (err: Error): void => {
    this.#options.log.debug({ err }, 'a client connection broke')
  }

  readonly #sendSlowOnesAway = (): void => {
    const tooLate = performance.now() - this.#options.handshakeTimeoutMs
    for (const [socket, since] of this.#strangers) {
      if (since > tooLate) return // so are all that follow
      socket.destroy()
    }
  }
}

/** Where a connection comes from; an IPv4 address mapped into IPv6 is told as IPv4. */
function readOrigin({ localPort = 0, remoteAddress = '', remotePort = 0 }: Socket): ClientOrigin {
  return { gatewayPort: localPort, remoteAddress: remoteAddress.replace(/^::ffff:(?=\d+\.)/, ''), remotePort }
}
