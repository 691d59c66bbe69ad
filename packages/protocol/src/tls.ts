import { X509Certificate } from 'node:crypto'
import {
  connect as connectTcp,
  createServer as createTcpServer,
  type Server,
  type ServerOpts,
  type Socket,
} from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import { GatewayWorkerError } from './errors.ts'
import { Strangers } from './strangers.ts'

/** What a process shows of itself on links with TLS, and the authority whose certificates it takes from others; each in PEM. */
export interface TlsIdentity {
  ca: Buffer | string
  cert: Buffer | string
  key: Buffer | string
}

export interface SocketServerOptions extends ServerOpts {
  /** Somebody was sent away before there was a connection; `reason` is in words. */
  onRefused(peer: string, reason: string): void
  onSocket(socket: Socket): void
  /** How long a TLS handshake may take. */
  patienceMs: number
  tls: TlsIdentity | undefined
}

const MIN_VERSION = 'TLSv1.3'

const contexts = new WeakMap<TlsIdentity, SecureContext>()

/**
 * Dials, with TLS if there is an identity, and calls `onReady` when the connection can be spoken on. What counts of the other side is a certificate of
 * the authority, not the name in it. Throws BAD_CERTIFICATE.
 */
export function dialSocket(
  address: { host: string; port: number },
  tls: TlsIdentity | undefined,
  onReady: (socket: Socket) => void,
): Socket {
  if (tls === undefined) {
    const socket = connectTcp(address).once('connect', () => onReady(socket))
    return socket
  }
  const options = { ...address, checkServerIdentity: () => undefined, secureContext: secureContextOf(tls) }
  const socket = connectTls(options).once('secureConnect', () => onReady(socket))
  return socket
}

/**
 * A server that hands on connections which can be spoken on: all of them, or, with TLS, those of whoever has shown a certificate of the authority.
 * Ending it ends handshakes under way. Throws BAD_CERTIFICATE.
 */
export function createSocketServer({ onRefused, onSocket, patienceMs, tls, ...options }: SocketServerOptions): Server {
  if (tls === undefined) return createTcpServer(options, onSocket)
  secureContextOf(tls) // for its error
  const server = createTlsServer({
    ...options,
    ...contextOptions(tls),
    handshakeTimeout: patienceMs,
    rejectUnauthorized: true,
    requestCert: true,
  })
  /** By the address of their other side, which the connection with TLS has, too. */
  const handshakes = new Map<string, Socket>()
  const strangers = new Strangers<Socket>(patienceMs)
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket)
    handshakes.set(name, socket)
    strangers.add(socket)?.destroy()
    socket.once('close', () => {
      strangers.delete(socket)
      if (handshakes.get(name) === socket) handshakes.delete(name)
    })
  })
  server.on('secureConnection', (socket) => {
    const name = nameOf(socket)
    strangers.delete(handshakes.get(name)!)
    handshakes.delete(name)
    onSocket(socket)
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // One that ends the connection itself, as a probe does, was not refused.
    const hasGone = error.code === 'ECONNRESET' && !socket.authorizationError
    if (!hasGone) onRefused(nameOf(socket), explainTlsError(error, socket))
    socket.destroy()
  })
  const close = server.close.bind(server)
  server.close = (onClosed) => {
    for (const socket of handshakes.values()) socket.destroy()
    return close(onClosed)
  }
  return server
}

/** What is made of an identity, once. */
function secureContextOf(tls: TlsIdentity): SecureContext {
  const known = contexts.get(tls)
  if (known !== undefined) return known
  try {
    // Node would take a missing key for none that is needed.
    for (const name of ['ca', 'cert', 'key'] as const) if (tls[name].length === 0) throw new Error(`${name} is empty`)
    new X509Certificate(tls.ca) // nor does it say that there is none in it
    const context = createSecureContext(contextOptions(tls))
    contexts.set(tls, context)
    return context
  } catch (cause) {
    const words = `the TLS certificate, its key and the CA cannot be used together: ${(cause as Error).message}`
    throw new GatewayWorkerError('BAD_CERTIFICATE', words, { cause })
  }
}

function contextOptions({ ca, cert, key }: TlsIdentity): SecureContextOptions {
  return { ca, cert, key, minVersion: MIN_VERSION }
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`
}

function explainTlsError(error: Error & { code?: string }, { authorizationError }: TLSSocket): string {
  // Node does not tell it by the error.
  if (authorizationError)
    return `its certificate is not of this cluster's CA, or not good any more (${authorizationError})`
  return `it does not speak TLS as this port does, with a certificate of its own (${error.code ?? error.message})`
}
