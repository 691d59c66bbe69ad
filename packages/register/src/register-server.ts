import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Credentials, findAddressToBind, isSameSecret, type Log, silentLog } from '@gatewayworker/protocol'
import { encodeLine, LineParser, type RegisterMessage } from './lines.ts'
import { probeGateway } from './probe-gateway.ts'

export interface RegisterServerOptions extends Credentials {
  /** How long a connection may stay without a valid line. Default 10 000. */
  authTimeoutMs?: number
  host: string
  /** How long a peer on another host may be silent until it is gone, and its gateways with it. Default 80 000: peers ping every 25 s at least. */
  linkTimeoutMs?: number
  log?: Log
  /** 0 for any free one. */
  port: number
}

const DEFAULT_AUTH_TIMEOUT_MS = 10_000
/** Nobody has reason to say more than an address and a secret. */
const MAX_PEER_LINE_BYTES = 64 * 1024
const DEFAULT_LINK_TIMEOUT_MS = 80_000

interface Peer {
  address: string
  /** The LAN address that this connection keeps online, if it is a gateway's. */
  gateway: string | undefined
  isKnown: boolean
  isWatching: boolean
  /** Whether it takes lines that PHP's peers do not know. */
  takesAnswers: boolean
  socket: Socket
}

/**
 * The address book: gateways say where they are, workers and backends hear it at once and at every change.
 *
 * Invariants: an address is online exactly as long as a connection that announced it; who is not known gets no list; one
 * bad line ends only its connection.
 */
export class RegisterServer {
  readonly #log: Log
  readonly #options: RegisterServerOptions
  readonly #peers = new Set<Peer>()
  readonly #server: Server

  constructor(options: RegisterServerOptions) {
    this.#options = options
    this.#log = options.log ?? silentLog
    this.#server = createServer({ keepAlive: true, noDelay: true }, this.#onConnection)
  }

  /** Resolves with the bound address; rejects with PUBLIC_WITHOUT_SECRET, or the system's error, EADDRINUSE for one. */
  async start(): Promise<{ host: string; port: number }> {
    const { port, secretKey } = this.#options
    const host = await findAddressToBind(this.#options.host, secretKey)
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => this.#log.error({ err }, 'the register port failed'))
        const { address, port: bound } = this.#server.address() as AddressInfo
        resolve({ host: address, port: bound })
      })
    })
  }

  /** Ends every connection and stops listening. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const { socket } of this.#peers) socket.destroy()
    await closed
  }

  readonly #onConnection = (socket: Socket): void => {
    const { authTimeoutMs = DEFAULT_AUTH_TIMEOUT_MS, linkTimeoutMs = DEFAULT_LINK_TIMEOUT_MS } = this.#options
    const peer: Peer = {
      address: `${socket.remoteAddress}:${socket.remotePort}`,
      gateway: undefined,
      isKnown: false,
      isWatching: false,
      socket,
      takesAnswers: false,
    }
    this.#peers.add(peer)
    const parser = new LineParser(MAX_PEER_LINE_BYTES)
    const timer = setTimeout(() => {
      if (!peer.isKnown) this.#refuse(peer, `nothing valid was said within ${authTimeoutMs} ms`)
    }, authTimeoutMs)
    if (!isLoopback(socket.remoteAddress)) {
      socket.setTimeout(linkTimeoutMs, () => this.#refuse(peer, 'it has been silent for too long'))
    }
    socket.on('data', (chunk) => {
      try {
        parser.push(chunk, (message) => this.#onMessage(peer, message))
      } catch (error) {
        this.#refuse(peer, (error as Error).message)
      }
    })
    socket.on('error', (err) => this.#log.debug({ peer: peer.address, err }, 'a register connection broke'))
    socket.on('close', () => {
      clearTimeout(timer)
      this.#onClose(peer)
    })
  }

  #onMessage(peer: Peer, message: RegisterMessage): void {
    if (peer.socket.destroyed) return // refused by an earlier line of the same chunk
    switch (message.event) {
      case 'gateway_connect':
        if (this.#isTrusted(peer, message)) this.#onGatewayConnect(peer, message.address)
        break
      case 'worker_connect':
        if (this.#isTrusted(peer, message)) {
          peer.isWatching = true
          this.#tell(peer)
        }
        break
      case 'ping':
        peer.isKnown = true
        if (message.answer !== true) break
        peer.takesAnswers = true
        peer.socket.write(encodeLine({ event: 'pong' }))
        break
      default:
        this.#refuse(peer, 'its event is unknown')
    }
  }

  #isTrusted(peer: Peer, message: RegisterMessage): boolean {
    const { secretKey = '' } = this.#options
    if (secretKey !== '' && !isSameSecret(String(message.secret_key ?? ''), secretKey)) {
      this.#refuse(peer, 'its secret key is missing or wrong')
      return false
    }
    peer.isKnown = true
    return true
  }

  #onGatewayConnect(peer: Peer, address: unknown): void {
    if (typeof address !== 'string' || address === '') {
      this.#refuse(peer, 'it announced no address')
      return
    }
    for (const other of this.#peers) {
      if (other === peer || other.gateway !== address) continue
      this.#log.warn(
        { gateway: address, peers: [other.address, peer.address] },
        'two gateways have the same LAN address',
      )
    }
    peer.gateway = address
    this.#log.info({ gateway: address }, 'gateway online')
    this.#broadcast()
    // Nobody who has not proved that he may makes this host connect to others.
    if (this.#options.secretKey || isLoopback(peer.socket.remoteAddress)) void this.#probe(peer, address)
  }

  /** Whether others reach a gateway cannot be known here, but where the register does not, they seldom do. */
  async #probe(peer: Peer, address: string): Promise<void> {
    const reason = await probeGateway(address)
    if (reason === undefined || peer.socket.destroyed) return
    this.#log.warn({ gateway: address }, `a gateway cannot be reached from the register: ${reason}`)
    if (peer.takesAnswers) peer.socket.write(encodeLine({ event: 'unreachable', address, reason }))
  }

  #onClose(peer: Peer): void {
    this.#peers.delete(peer)
    if (peer.gateway === undefined) return
    this.#log.info({ gateway: peer.gateway }, 'gateway offline')
    this.#broadcast()
  }

  #broadcast(): void {
    for (const peer of this.#peers) if (peer.isWatching) this.#tell(peer)
  }

  #tell(peer: Peer): void {
    const addresses = new Set<string>()
    for (const { gateway } of this.#peers) if (gateway !== undefined) addresses.add(gateway)
    peer.socket.write(encodeLine({ event: 'broadcast_addresses', addresses: [...addresses] }))
  }

  #refuse(peer: Peer, reason: string): void {
    if (peer.socket.destroyed) return
    this.#log.warn({ peer: peer.address }, `a register connection was closed: ${reason}`)
    peer.socket.destroy()
  }
}

function isLoopback(address = ''): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
