import { connect, type Socket } from 'node:net'
import { GatewayWorkerError, type Log, silentLog } from '@gatewayworker/protocol'
import type { DiscoveryOptions, Watcher } from './discovery.ts'
import { HeldList } from './held-list.ts'
import { encodeLine, LineParser, type RegisterMessage } from './lines.ts'

const DEFAULT_LINK_TIMEOUT_MS = 45_000
/** A register on a host that is cut off does not even refuse. */
const CONNECT_TIMEOUT_MS = 5_000
const RETRY_MS = 1_000
/** Processes of a cluster start together: a register that is not there yet is given its time to start, and looked for more often. */
const START_RETRY_MS = 100
const START_RETRIES = 10
/** PHP's peers ping so often, too. */
const LONGEST_PING_MS = 25_000
/** So many, without an answer after there were some, and the register is gone. */
const UNANSWERED_PINGS = 3

/** Keeps one connection to every register up, says the same first line on each, and hears what they say. */
abstract class RegisterClient {
  protected readonly log: Log
  readonly #connections: RegisterConnection[]

  constructor(options: DiscoveryOptions, firstLine: RegisterMessage) {
    this.log = options.log ?? silentLog
    if (options.registerAddresses.length === 0)
      throw new GatewayWorkerError('BAD_REGISTER_ADDRESS', 'no register address was given')
    const line = encodeLine({ ...firstLine, secret_key: options.secretKey ?? '' })
    this.#connections = options.registerAddresses.map(
      (address) =>
        new RegisterConnection(
          address,
          line,
          options,
          (message) => this.onMessage(address, message),
          () => this.onAway(address),
        ),
    )
  }

  /** Why each register that is away is so, in words. */
  get problems(): string[] {
    return this.#connections.flatMap(({ problem }) => problem ?? [])
  }

  /** Whether every register has been lost, and none is back. */
  get isCutOff(): boolean {
    return this.#connections.every(({ problem }) => problem !== undefined)
  }

  /** A register has said something. */
  protected abstract onMessage(register: string, message: RegisterMessage): void

  /** A register that had said something cannot be heard any more. */
  protected abstract onAway(register: string): void

  /** The registers that can be heard now. */
  protected get connected(): string[] {
    return this.#connections.filter(({ isConnected }) => isConnected).map(({ address }) => address)
  }

  /** Ends the connections; a gateway is offline from then on. */
  close(): void {
    for (const connection of this.#connections) connection.close()
  }
}

/** A gateway's side: its address is online at every register as long as this is open. */
export class RegisterAnnouncer extends RegisterClient {
  /** `address` is the gateway's "IPv4:LAN port". */
  constructor(address: string, options: DiscoveryOptions) {
    super(options, { event: 'gateway_connect', address })
  }

  protected override onMessage(register: string, { address, event, reason }: RegisterMessage): void {
    if (event !== 'unreachable') return
    this.log.warn(
      { lan: address, register },
      `the register cannot reach this gateway at its LAN address: ${reason}; if workers and backends cannot either, see --lan-ip, --lan-listen and the firewall`,
    )
  }

  protected override onAway(): void {}
}

/** A worker's or backend's side: hears which gateways are online, the union of what the registers say. */
export class RegisterWatcher extends RegisterClient implements Watcher {
  readonly #lists = new Map<string, HeldList>()
  readonly #onAddresses: (addresses: string[]) => void

  /** `onAddresses` gets the whole list, at once and at every message. A register that is away keeps what it said last. */
  constructor(options: DiscoveryOptions, onAddresses: (addresses: string[]) => void) {
    super(options, { event: 'worker_connect' })
    this.#onAddresses = onAddresses
  }

  /** Whether a register that can be heard now knows a gateway; undefined if none can be heard. */
  knows(address: string): boolean | undefined {
    const registers = this.connected
    return registers.length === 0 ? undefined : registers.some((register) => this.#lists.get(register)?.names(address))
  }

  protected override onMessage(register: string, message: RegisterMessage): void {
    if (message.event !== 'broadcast_addresses') return
    // PHP encodes a list with gaps as a map
    const values = Object.values(message.addresses ?? {})
    const addresses = values.filter((address): address is string => typeof address === 'string')
    const list = this.#lists.get(register) ?? new HeldList(this.#onChange)
    this.#lists.set(register, list)
    list.take(addresses)
  }

  protected override onAway(register: string): void {
    this.#lists.get(register)?.leave()
  }

  override close(): void {
    super.close()
    for (const list of this.#lists.values()) list.close()
  }

  readonly #onChange = (): void => {
    this.#onAddresses([...new Set([...this.#lists.values()].flatMap(({ addresses }) => addresses))])
  }
}

/** "host:port", or "[IPv6]:port", in its parts. Throws BAD_REGISTER_ADDRESS. */
export function parseRegisterAddress(address: string): { host: string; port: number } {
  const [, host, port] = /^(\[[\d:a-f]+\]|[^\s:/[\]]+):(\d{1,5})$/i.exec(String(address)) ?? []
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) {
    throw new GatewayWorkerError('BAD_REGISTER_ADDRESS', `${JSON.stringify(address)} is no register address`)
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

class RegisterConnection {
  readonly address: string
  /** Whether it has said something since it was reached last. */
  isConnected = false
  /** Why the register is away; undefined while it is there. */
  problem: string | undefined
  readonly #firstLine: string
  readonly #log: Log
  readonly #onAway: () => void
  readonly #onMessage: (message: RegisterMessage) => void
  readonly #persistent: boolean
  readonly #pingMs: number
  #isClosed = false
  #isReported = false
  #startRetries = START_RETRIES
  #retry: NodeJS.Timeout | undefined
  #socket: Socket | undefined

  constructor(
    address: string,
    firstLine: string,
    options: DiscoveryOptions,
    onMessage: (message: RegisterMessage) => void,
    onAway: () => void,
  ) {
    const { linkTimeoutMs = DEFAULT_LINK_TIMEOUT_MS, log = silentLog, persistent = true } = options
    this.address = address
    this.#firstLine = firstLine
    this.#log = log
    this.#onAway = onAway
    this.#onMessage = onMessage
    this.#persistent = persistent
    this.#pingMs = Math.min(LONGEST_PING_MS, linkTimeoutMs / UNANSWERED_PINGS)
    this.#connect()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#socket?.destroy()
  }

  #connect(): void {
    const socket = connect({ ...parseRegisterAddress(this.address), keepAlive: true, noDelay: true })
    if (!this.#persistent) socket.unref()
    this.#socket = socket
    const parser = new LineParser()
    /** Pings since the last answer; PHP's registers, which TCP has to watch over, never give one. */
    let unanswered: number | undefined
    const ping = (): void => {
      if (unanswered === UNANSWERED_PINGS) {
        socket.destroy(new Error('nothing was heard from it'))
        return
      }
      socket.write(encodeLine({ event: 'ping', answer: true }))
      if (unanswered !== undefined) unanswered += 1
    }
    const onMessage = (message: RegisterMessage): void => {
      if (message.event === 'pong') unanswered = 0
      else this.#onMessage(message)
    }
    const pinging = setInterval(ping, this.#pingMs).unref()
    const connecting = setTimeout(() => socket.destroy(new Error('it did not answer')), CONNECT_TIMEOUT_MS).unref()
    // A register that refuses us does it at once.
    let reason = 'it closed the connection at once; is the secret key the same?'
    let isAccepted: NodeJS.Timeout | undefined
    socket.on('connect', () => {
      clearTimeout(connecting)
      this.#startRetries = 0
      // In one piece: a register that refuses the first line has then read all, and ends the connection without an error.
      socket.cork()
      socket.write(this.#firstLine)
      ping() // it shows at once whether it answers
      socket.uncork()
      isAccepted = setTimeout(() => {
        reason = 'it ended the connection'
        this.problem = undefined
        if (this.#isReported) this.#log.info({ register: this.address }, 'the register is back')
        this.#isReported = false
      }, RETRY_MS / 2).unref()
    })
    socket.on('data', (chunk) => {
      this.isConnected = true
      try {
        parser.push(chunk, onMessage)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
    socket.on('error', (error) => {
      reason = error.message
    })
    socket.on('close', () => {
      if (this.isConnected) this.#onAway()
      this.isConnected = false
      clearInterval(pinging)
      clearTimeout(connecting)
      clearTimeout(isAccepted)
      this.#onClose(reason)
    })
  }

  #onClose(reason: string): void {
    if (this.#isClosed) return
    this.problem = `${this.address}: ${reason}`
    if (this.#startRetries > 0) {
      this.#startRetries -= 1
      this.#connectAfter(START_RETRY_MS)
      return
    }
    // Said once per absence, not once a second.
    if (!this.#isReported) this.#log.warn({ register: this.address }, `the register is away: ${reason}`)
    this.#isReported = true
    this.#connectAfter(RETRY_MS)
  }

  #connectAfter(ms: number): void {
    this.#retry = setTimeout(() => this.#connect(), ms)
    if (!this.#persistent) this.#retry.unref()
  }
}
