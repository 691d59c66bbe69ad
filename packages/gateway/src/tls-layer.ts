import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Log } from '@gatewayworker/protocol'

/** What clients are shown, in PEM. */
export interface SslOptions {
  /** The certificate, followed by those that it rests on. */
  cert: string | Buffer
  key: string | Buffer
  /** Of the key, if it has one. */
  passphrase?: string
}

export interface TlsLayerOptions {
  handshakeTimeoutMs: number
  log: Log
  /** The handshake has failed, and not because the client has gone; `socket` as below, if it is still known. */
  onFailed(socket: Socket | undefined, why: string): void
  /** The handshake is done; `socket` is the connection that was given to `secure`. */
  onSecure(secureSocket: TLSSocket, socket: Socket): void
  ssl: SslOptions
}

/** Speaks TLS on connections that it is given; one whose handshake fails, or takes too long, ends. */
export class TlsLayer {
  /** Connections in their handshake, by where they come from: that is what they and their TLS sockets have in common. */
  readonly #handshakes = new Map<string, Socket>()
  /** Does not listen. */
  readonly #server: Server

  /** Throws if certificate and key do not go together. */
  constructor({ handshakeTimeoutMs, log, onFailed, onSecure, ssl }: TlsLayerOptions) {
    this.#server = createServer({ ...ssl, handshakeTimeout: handshakeTimeoutMs })
    this.#server.on('tlsClientError', (err: NodeJS.ErrnoException, secureSocket) => {
      log.debug({ err }, 'a TLS handshake failed')
      if (err.code !== 'ECONNRESET') onFailed(this.#handshakes.get(originOf(secureSocket)), err.code ?? err.message)
    })
    this.#server.on('secureConnection', (secureSocket) => {
      const origin = originOf(secureSocket)
      const socket = this.#handshakes.get(origin)
      this.#handshakes.delete(origin)
      if (socket === undefined)
        secureSocket.destroy() // it has gone meanwhile
      else {
        secureSocket.allowHalfOpen = true
        onSecure(secureSocket, socket)
      }
    })
  }

  secure(socket: Socket): void {
    const origin = originOf(socket)
    this.#handshakes.set(origin, socket)
    socket.once('close', () => {
      if (this.#handshakes.get(origin) === socket) this.#handshakes.delete(origin)
    })
    socket.allowHalfOpen = false // who ends its side before the handshake is done has gone
    this.#server.emit('connection', socket)
  }

  /** New connections are shown this certificate. Throws as the constructor does, and changes nothing then. */
  renew(ssl: SslOptions): void {
    this.#server.setSecureContext(ssl)
  }
}

function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
