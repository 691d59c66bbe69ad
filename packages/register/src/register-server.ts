import type { AddressInfo, Server, Socket } from 'node:net'
import {
  type Credentials,
  createNonce,
  createSocketServer,
  digest,
  type ErrorCode,
  findAddressToBind,
  isProof,
  isSameSecret,
  type Log,
  NATIVE_VERSION,
  prove,
  RepeatedWarnings,
  Strangers,
  silentLog,
  version,
  withTimes,
} from '@gatewayworker/protocol'
import type { RegisterDescription } from './describe-register.ts'
import { encodeLine, type RegisterMessage } from './lines.ts'
import { OnlineGateways } from './online-gateways.ts'
import { probeGateway } from './probe-gateway.ts'
import { type Greeting, RegisterPeer, type ToldList } from './register-peer.ts'

export interface RegisterServerOptions extends Credentials {
  /** How long a connection may take to show who it is. Default 10 000. */
  authTimeoutMs?: number
  host: string
  /** How long a peer on another host may be silent, and any may leave a list unread. Default 80 000: peers ping every 25 s at least. */
  linkTimeoutMs?: number
  log?: Log
  /** 0 for any free one. */
  port: number
}

const DEFAULT_AUTH_TIMEOUT_MS = 10_000
const DEFAULT_LINK_TIMEOUT_MS = 80_000
/** The longest address that is taken: a host name and a port. */
const MAX_ADDRESS_LENGTH = 260
/** Each broadcast uses up so much of the time; changes that come meanwhile are told together. */
const BROADCAST_INTERVAL_MS = 50
/** So many may follow each other at once: only when all gateways come back is there reason to wait. */
const BROADCAST_BURST = 8

/**
 * The address book: gateways say where they are, workers and backends hear it at once and at every change.
 *
 * Invariants: an address is online exactly as long as a connection that announced it; who has not shown the secret gets no list, and stays for ten
 * seconds and costs 4 KiB; a native peer is told nothing that depends on the secret before it has proved that it knows it; what waits for a peer is
 * bounded; one bad line ends only its connection.
 */
export class RegisterServer {
  readonly #gateways = new OnlineGateways()
  readonly #log: Log
  readonly #options: RegisterServerOptions
  readonly #peers = new Set<RegisterPeer>()
  readonly #server: Server
  readonly #strangers: Strangers<RegisterPeer>
  readonly #warnings: RepeatedWarnings
  /** Until when the broadcasts so far use up the time, by `performance.now()`. */
  #broadcastsUntil = 0
  #broadcastTimer: NodeJS.Timeout | undefined
  /** Whether there is a change that watchers have not been told. */
  #isBroadcastDue = false
  /** Undefined after a change. */
  #toldList: ToldList | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(given: RegisterServerOptions) {
    const options = withTimes(given)
    this.#options = options
    this.#log = options.log ?? silentLog
    this.#warnings = new RepeatedWarnings(this.#log)
    const { authTimeoutMs = DEFAULT_AUTH_TIMEOUT_MS, tls } = options
    this.#strangers = new Strangers(authTimeoutMs)
    this.#server = createSocketServer({
      keepAlive: true,
      noDelay: true,
      onRefused: (peer, reason) => {
        const ip = peer.slice(0, peer.lastIndexOf(':'))
        this.#warnings.warn(reason, ip, { peer }, `a register connection was refused: ${reason}`)
      },
      onSocket: this.#onConnection,
      patienceMs: authTimeoutMs,
      tls,
    })
  }

  /** Resolves with the bound address; rejects with PUBLIC_WITHOUT_SECRET, WEAK_SECRET, or the system's error, EADDRINUSE for one. */
  async start(): Promise<{ host: string; port: number }> {
    const { authTimeoutMs = DEFAULT_AUTH_TIMEOUT_MS, linkTimeoutMs = DEFAULT_LINK_TIMEOUT_MS } = this.#options
    const { port, secretKey } = this.#options
    const host = await findAddressToBind(this.#options.host, secretKey)
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => this.#log.error({ err }, 'the register port failed'))
        this.#timer = setInterval(this.#checkPeers, Math.min(authTimeoutMs, linkTimeoutMs) / 10).unref()
        const { address, port: bound } = this.#server.address() as AddressInfo
        resolve({ host: address, port: bound })
      })
    })
  }

  /** Ends every connection and stops listening. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const peer of this.#peers) peer.destroy()
    clearInterval(this.#timer)
    clearTimeout(this.#broadcastTimer)
    await closed
    this.#warnings.close()
  }

  readonly #onConnection = (socket: Socket): void => {
    const peer = new RegisterPeer(socket)
    this.#peers.add(peer)
    socket.on('data', (chunk) => {
      peer.heardAt = performance.now()
      try {
        peer.parser.push(chunk, (message, line) => this.#onMessage(peer, message, line))
      } catch (error) {
        this.#refuse(peer, (error as Error).message)
      }
    })
    socket.on('error', (err) => this.#log.debug({ peer: peer.name, err }, 'a register connection broke'))
    socket.on('close', () => this.#onClose(peer))
    const tooMany = this.#strangers.add(peer)
    if (tooMany !== undefined) this.#refuse(tooMany, 'it did not show who it is, and too many others came')
  }

  readonly #checkPeers = (): void => {
    const { authTimeoutMs = DEFAULT_AUTH_TIMEOUT_MS, linkTimeoutMs = DEFAULT_LINK_TIMEOUT_MS } = this.#options
    const now = performance.now()
    for (const peer of this.#strangers.takeLate(now)) {
      this.#refuse(peer, `it did not show within ${authTimeoutMs} ms who it is`)
    }
    for (const peer of this.#peers) {
      if (!peer.isGone(linkTimeoutMs, now)) continue
      // If it was this process that stood still, what the peer said lies in the kernel: it is read before the verdict.
      setImmediate(() => {
        const isGone = peer.isGone(linkTimeoutMs, performance.now())
        if (isGone) this.#refuse(peer, 'it has been silent, or has read nothing, for too long')
      })
    }
  }

  #onMessage(peer: RegisterPeer, message: RegisterMessage, line: string): void {
    if (peer.isClosed) return // refused by an earlier line of the same chunk
    if (peer.isClogged) {
      this.#refuse(peer, 'it does not read what it is told')
      return
    }
    switch (message.event) {
      case 'gateway_connect':
      case 'worker_connect':
        this.#onGreeting(peer, message, line)
        break
      case 'proof':
        this.#onProof(peer, message)
        break
      case 'ping':
        if (message.answer !== true) break
        peer.isNative = true
        peer.say({ event: 'pong' })
        break
      default:
        this.#refuse(peer, 'its event is unknown')
    }
  }

  #onGreeting(peer: RegisterPeer, message: RegisterMessage, line: string): void {
    const { native } = message
    const greeting = readGreeting(message)
    if (native === undefined) {
      if (this.#letsInLegacy(peer, message)) this.#letIn(peer, greeting)
      return
    }
    const { nonce, version } = (native ?? {}) as Record<string, unknown>
    const asksForSecret = (this.#options.secretKey ?? '') !== ''
    if (version !== NATIVE_VERSION) {
      this.#reject(peer, 'WRONG_VERSION', `the register speaks version ${NATIVE_VERSION} of the native dialect`)
    } else if (asksForSecret !== (typeof nonce === 'string')) {
      this.#reject(peer, 'WRONG_SECRET', asksForSecret ? 'no secret key was given' : 'this register has no secret key')
    } else if (asksForSecret) {
      const challenge = peer.say({ event: 'challenge', nonce: createNonce() })
      peer.challenge = { greeting, said: [digest(line), challenge] }
    } else {
      this.#welcome(peer, greeting)
    }
  }

  #onProof(peer: RegisterPeer, { proof }: RegisterMessage): void {
    const { challenge } = peer
    const { secretKey = '' } = this.#options
    peer.challenge = undefined
    const given = Buffer.from(String(proof), 'hex')
    if (challenge === undefined || !isProof(given, secretKey, 'register-client', challenge.said)) {
      this.#reject(peer, 'WRONG_SECRET', 'the secret key is wrong')
      return
    }
    this.#welcome(peer, challenge.greeting, prove(secretKey, 'register-server', challenge.said).toString('hex'))
  }

  #welcome(peer: RegisterPeer, greeting: Greeting, proof?: string): void {
    peer.isNative = true
    peer.say({ event: 'welcome', proof })
    this.#letIn(peer, greeting)
  }

  /** PHP's say the secret in clear. */
  #letsInLegacy(peer: RegisterPeer, greeting: RegisterMessage): boolean {
    const { allowLegacy = false, secretKey = '' } = this.#options
    if (secretKey === '') return true
    if (allowLegacy !== true && !peer.isLocal) {
      this.#refuse(peer, 'it speaks as PHP does, with the secret in clear; --allow-legacy all would let it in')
      return false
    }
    if (isSameSecret(String(greeting.secret_key ?? ''), secretKey)) return true
    this.#refuse(peer, 'its secret key is missing or wrong')
    return false
  }

  #letIn(peer: RegisterPeer, { address, describe, event }: Greeting): void {
    this.#strangers.delete(peer)
    peer.admit()
    if (event === 'gateway_connect') {
      this.#onGatewayConnect(peer, address)
    } else {
      peer.isWatching = true
      if (describe) peer.say({ event: 'register_description', ...this.#describe() })
      peer.tell(this.#list)
    }
  }

  #onGatewayConnect(peer: RegisterPeer, address: string | undefined): void {
    if (address === undefined) {
      this.#refuse(peer, 'it announced no address')
      return
    }
    const other = this.#gateways.add(peer, address)
    if (other !== undefined) {
      const details = { gateway: address, peers: [other.name, peer.name] }
      this.#warnings.warn('twins', address, details, 'two gateways have the same LAN address')
    }
    this.#log.info({ gateway: address }, 'gateway online')
    this.#broadcastSoon()
    // Nobody who has not proved that he may makes this host connect to others.
    if (this.#options.secretKey || peer.isLocal) void this.#probe(peer, address)
  }

  /** Whether others reach a gateway cannot be known here, but where the register does not, they seldom do. */
  async #probe(peer: RegisterPeer, address: string): Promise<void> {
    const reason = await probeGateway(address)
    if (reason === undefined || peer.isClosed) return
    const words = `a gateway cannot be reached from the register: ${reason}`
    this.#warnings.warn('unreachable', address, { gateway: address }, words)
    if (peer.isNative) peer.say({ event: 'unreachable', address, reason })
  }

  #onClose(peer: RegisterPeer): void {
    this.#peers.delete(peer)
    this.#strangers.delete(peer)
    if (peer.gateway === undefined) return
    this.#log.info({ gateway: peer.gateway }, 'gateway offline')
    this.#gateways.delete(peer)
    this.#broadcastSoon()
  }

  /** A change is told at the end of this turn of the event loop, those of one turn together; after many broadcasts there is a pause between them. */
  #broadcastSoon(): void {
    this.#toldList = undefined
    if (this.#isBroadcastDue) return
    this.#isBroadcastDue = true
    const now = performance.now()
    this.#broadcastsUntil = Math.max(this.#broadcastsUntil, now) + BROADCAST_INTERVAL_MS
    const waitMs = this.#broadcastsUntil - now - BROADCAST_BURST * BROADCAST_INTERVAL_MS
    if (waitMs <= 0) setImmediate(this.#broadcast)
    else this.#broadcastTimer = setTimeout(this.#broadcast, waitMs)
  }

  readonly #broadcast = (): void => {
    this.#isBroadcastDue = false
    for (const peer of this.#peers) {
      if (peer.isWatching && !peer.isClosed && peer.toldList !== this.#list()) peer.tell(this.#list)
    }
  }

  readonly #list = (): ToldList => {
    this.#toldList ??= {
      line: encodeLine({ event: 'broadcast_addresses', addresses: this.#gateways.addresses }),
    }
    return this.#toldList
  }

  #describe(): RegisterDescription {
    return { announcements: this.#gateways.announcements, time: Date.now(), version }
  }

  /** For a peer of ours, which is told why. */
  #reject(peer: RegisterPeer, code: ErrorCode, message: string): void {
    this.#warn(peer, message, { code })
    peer.say({ event: 'refused', code, message })
    peer.end()
  }

  /** PHP's know no word for it. */
  #refuse(peer: RegisterPeer, reason: string): void {
    if (peer.isClosed) return
    this.#warn(peer, reason)
    peer.destroy()
  }

  #warn({ ip, name }: RegisterPeer, reason: string, details: object = {}): void {
    this.#warnings.warn(reason, ip, { peer: name, ...details }, `a register connection was closed: ${reason}`)
  }
}

/** Takes what matters out of a first line. */
function readGreeting({ address, describe, event }: RegisterMessage): Greeting {
  const isAddress = typeof address === 'string' && address !== '' && address.length <= MAX_ADDRESS_LENGTH
  return { address: isAddress ? address : undefined, describe: describe === true, event }
}
