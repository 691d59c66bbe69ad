import { GatewayWorkerError, type Log, silentLog } from '@gatewayworker/protocol'
import type { DiscoveryOptions, Watcher } from './discovery.ts'
import { HeldList } from './held-list.ts'
import { type RegisterMessage, readAddresses } from './lines.ts'
import { RegisterConnection } from './register-connection.ts'

/** Keeps one connection to every register up, says the same first line on each, and hears what they say. */
abstract class RegisterClient {
  protected readonly log: Log
  readonly #connections: RegisterConnection[]

  constructor(options: DiscoveryOptions, greeting: RegisterMessage) {
    this.log = options.log ?? silentLog
    if (options.registerAddresses.length === 0)
      throw new GatewayWorkerError('BAD_REGISTER_ADDRESS', 'no register address was given')
    this.#connections = options.registerAddresses.map(
      (address) =>
        new RegisterConnection({
          ...options,
          address,
          greeting,
          onAway: () => this.onAway(address),
          onMessage: (message) => this.onMessage(address, message),
        }),
    )
  }

  /** Why each register that is away is so, in words. */
  get problems(): string[] {
    return this.#connections.flatMap(({ problem }) => problem ?? [])
  }

  /** Whether nobody listens where any of the registers should be. */
  get isUnreachable(): boolean {
    return this.#connections.every(({ isUnreachable }) => isUnreachable)
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
    const list = this.#lists.get(register) ?? new HeldList(this.#onChange)
    this.#lists.set(register, list)
    list.take(readAddresses(message))
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
