import {
  type Credentials,
  createInstanceId,
  credentialsOf,
  type Frame,
  type GatewayLink,
  GatewayWorkerError,
  gatewayKey,
  gatewayKeyOf,
  type LinkHandler,
  type Log,
  type Role,
  silentLog,
  UID_LEASE_MS,
  withTimes,
} from '@gatewayworker/protocol'
import { type Watcher, watchGateways, withoutCredentials } from '@gatewayworker/register'
import { ClusterSearch } from './cluster-search.ts'
import type { Order } from './order-queue.ts'
import { PooledGateway } from './pooled-gateway.ts'
import { type Holder, UidLookup } from './uid-lookup.ts'

export interface GatewayPoolOptions extends Credentials {
  /** Output that may wait for one gateway, in bytes; as much again may wait half a second for room. Default 10 240 000. */
  bufferSizeBytes?: number
  /** How long a question or a send may wait for a gateway, in milliseconds. Default 5 000. */
  deadlineMs?: number
  /** How long a gateway or register may be silent until the link to it has ended, in milliseconds. Default 45 000. */
  linkTimeoutMs?: number
  log?: Log
  /** Frames that are no answers; only workers get any. */
  onFrame?(frame: Frame, gateway: PooledGateway): void
  /** The link to a gateway has ended. */
  onDown?(gateway: PooledGateway): void
  /** There is a link to a gateway, by which nothing has come yet. `instance` is another after a restart; PHP's have none. */
  onUp?(gateway: PooledGateway, instance: string | undefined): void
  /** Whether idle links keep this process running. Default true. */
  persistent?: boolean
  registerAddresses: readonly string[]
  /**
   * How long after a call that found no register or no gateway others reject at once, in milliseconds; and whether they do so while every register refuses
   * the connection. 0, the default, for never.
   */
  retryAfterMs?: number
  role: Role
}

/** What one gateway answered. */
export interface Answer {
  readonly gateway: PooledGateway
  readonly value: unknown
}

/** How long calls wait for gateways if nothing else is said, in milliseconds. */
export const DEFAULT_DEADLINE_MS = 5_000
const DEFAULT_BUFFER_SIZE_BYTES = 10_240_000
/** A process whose clock has jumped by so much stood still, and does not know what has become of its links. */
const STOOD_STILL_MS = 3_000
/** How long a register may take to tell a process that stood still which gateways there are now. */
const RELIST_MS = 1_000

const openPools = new Set<GatewayPool>()
// A program that ends right after a send has sent it all the same.
process.on('exit', () => {
  for (const pool of openPools) pool.flush()
})

/**
 * A link to every gateway of the cluster: kept as the register says, used for sends, questions and (by a worker) events.
 *
 * Invariants: a gateway that is linked or listed is in the pool, and no other; orders to one gateway leave in the order in which they were
 * given, and none of them waits for another gateway (`order-queue.ts`); every wait ends at the deadline; nothing that was accepted is dropped while
 * its link lives; after a time in which this process stood still no order counts as sent before the gateway has answered.
 */
export class GatewayPool {
  readonly deadlineMs: number
  /** Commands given to gateways, each counted for each of them. */
  toldOrders = 0
  readonly #gateways = new Map<string, PooledGateway>()
  readonly #instance = createInstanceId()
  readonly #log: Log
  readonly #options: GatewayPoolOptions
  readonly #search: ClusterSearch
  readonly #stoodStillMs: number
  readonly #timer: NodeJS.Timeout
  readonly #uidLookup = new UidLookup(() => this.#gateways.values())
  /** When this process was last known to run, as `Date.now()` tells it: no other clock goes on while a machine sleeps. */
  #awakeAt = Date.now()
  #isClosed = false
  #isListed = false
  #listed: readonly string[] = []
  #onChange: (() => void) | undefined
  /** Why a register does not want us, while none has told us anything. */
  #refusal: GatewayWorkerError | undefined
  /** Until the registers have told anew which gateways there are. */
  #relisting: { end(): void; promise: Promise<void> } | undefined
  #watcher: Watcher

  constructor(given: GatewayPoolOptions) {
    const options = withTimes(given)
    const { bufferSizeBytes = DEFAULT_BUFFER_SIZE_BYTES, deadlineMs = DEFAULT_DEADLINE_MS, retryAfterMs = 0 } = options
    this.deadlineMs = deadlineMs
    this.#log = options.log ?? silentLog
    this.#options = options
    this.#search = new ClusterSearch({ bufferSizeBytes, deadlineMs, retryAfterMs, whyNobody: () => this.#whyNobody })
    this.#stoodStillMs = Math.min(STOOD_STILL_MS, options.linkTimeoutMs ?? STOOD_STILL_MS)
    this.#timer = setInterval(this.#checkClock, this.#stoodStillMs / 3).unref()
    this.#watcher = this.#watch()
    openPools.add(this)
  }

  /** Output that no kernel has taken yet. */
  get bufferedBytes(): number {
    return [...this.#gateways.values()].reduce((sum, { link, orders }) => {
      return sum + (link?.bufferedBytes ?? 0) + orders.waitingBytes
    }, 0)
  }

  /** Every gateway of the cluster. */
  get gateways(): Iterable<PooledGateway> {
    return this.#gateways.values()
  }

  /** Why there is no link to every gateway that the registers have told, in words; none if there is. */
  get problems(): string[] {
    if (!this.#isListed) return [['no register has answered', ...this.#watcher.problems].join(': ')]
    return [...this.#gateways.values()].flatMap(({ problem }) => problem ?? [])
  }

  /** The gateway that holds a client; undefined if it is none of this cluster. */
  gatewayOf(clientId: string): PooledGateway | undefined {
    return this.#gateways.get(gatewayKeyOf(clientId))
  }

  /** The gateways that may hold any of the uids, each with those of them; with the same list if that is all. */
  holdersOf(uids: readonly string[]): Holder[] {
    return this.#uidLookup.find(uids)
  }

  /** Resolves when there is a link to every gateway that the registers have told, or at the deadline. */
  async whenLinked(deadlineMs: number): Promise<void> {
    const isLinked = () => this.#isListed && [...this.#gateways.values()].every(({ link }) => link !== undefined)
    if (isLinked()) return
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#onChange = undefined
        resolve()
      }
      const timer = setTimeout(done, deadlineMs)
      this.#onChange = () => {
        if (isLinked()) done()
      }
    })
  }

  /** Whether a gateway is online, as far as a register can be asked now; undefined if none can. */
  isOnline(address: string): boolean | undefined {
    return this.#watcher.knows(address)
  }

  /**
   * Nothing if there is a gateway, else a promise of the first one, for a call that weighs so much. It rejects with NO_REGISTER or NO_GATEWAY at the
   * deadline, or as `retryAfterMs` says, and at once while a register refuses this process (WRONG_SECRET, WRONG_VERSION).
   */
  whenReady(callBytes: number): Promise<void> | undefined {
    this.#checkClock()
    if (this.#relisting !== undefined) return this.#relisting.promise.then(() => this.#whenFound(callBytes))
    return this.#whenFound(callBytes)
  }

  /**
   * Sends an order, `ext` in place of its own if given. Nothing comes back if it is on its way; else a promise that resolves when it is, or rejects with
   * the reason if the gateway cannot be reached, or has no room for it, in time.
   */
  tell(gateway: PooledGateway, order: Order, ext = order.ext): Promise<void> | undefined {
    this.toldOrders += 1
    return gateway.orders.send(order, ext)
  }

  /**
   * Asks, and resolves with the answer; undefined if the gateway has left the cluster meanwhile. Rejects with the reason if it cannot be
   * reached, has no room for the question, or does not answer in time.
   */
  ask(gateway: PooledGateway, order: Order, ext = order.ext): Promise<Answer | undefined> {
    return gateway.orders.ask(order, ext, async (link, { body, command, connectionId, flag }) => {
      return { gateway, value: await link.ask(command, this.deadlineMs, connectionId, flag, ext, body) }
    })
  }

  /**
   * Gives an order to bind a uid, and resolves when no native process can miss the uid there any more. Rejects with the reason if the gateway
   * cannot be reached in time.
   */
  bindUid(gateway: PooledGateway, order: Order, uid: string): Promise<void> {
    this.toldOrders += 1
    // A gateway may have to wait for a process that stands still before it can answer.
    const deadlineMs = this.deadlineMs + UID_LEASE_MS
    let sentOn: GatewayLink | undefined
    const answer = gateway.orders.ask(order, order.ext, (link, { body, command, connectionId, flag }, ext) => {
      sentOn = link
      return link.ask(command, deadlineMs, connectionId, flag, ext, body)
    })
    return gateway.uids.onOrder(uid, answer, () => sentOn)
  }

  /** Ends every link after its output was written, for which gateways have `timeoutMs`. Resolves when it is, or is lost, which is logged. */
  async close(timeoutMs?: number): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    this.#uidLookup.close()
    this.#watcher.close()
    this.#relisting?.end()
    const error = clientClosed()
    this.#search.fail(error)
    openPools.delete(this)
    await Promise.all(Array.from(this.#gateways.values(), (gateway) => gateway.close(error, timeoutMs)))
  }

  readonly #onRefused = (error: GatewayWorkerError): void => {
    if (this.#isListed) return
    this.#refusal = error
    this.#search.fail(error)
  }

  /** A register could not be reached. */
  readonly #onFailure = (): void => {
    if (this.#isUnreachable) this.#search.fail(this.#whyNobody)
  }

  readonly #onAddresses = (addresses: string[]): void => {
    this.#isListed = true
    this.#refusal = undefined
    this.#listed = addresses
    for (const address of addresses) this.#add(address)
    for (const gateway of this.#gateways.values()) if (gateway.link === undefined) this.#removeUnlisted(gateway)
    if (this.#gateways.size > 0) this.#search.found()
    this.#relisting?.end()
    this.#onChange?.()
  }

  #add(address: string): void {
    if (this.#isClosed) return
    const {
      bufferSizeBytes = DEFAULT_BUFFER_SIZE_BYTES,
      linkTimeoutMs,
      persistent = true,
      role,
      secretKey = '',
    } = this.#options
    try {
      if (this.#gateways.has(gatewayKey(address))) return
      const gateway = new PooledGateway(address, {
        ...credentialsOf(this.#options),
        bufferSizeBytes,
        deadlineMs: this.deadlineMs,
        hello: { instance: this.#instance, role, secretKey },
        linkTimeoutMs,
        log: this.#log,
        onDown: this.#onDown,
        onUp: this.#onUp,
        persistent,
      })
      this.#gateways.set(gateway.key, gateway)
    } catch (err) {
      this.#log.error({ gateway: address, err }, 'the register told an address that is none')
    }
  }

  readonly #onUp = (gateway: PooledGateway, link: GatewayLink, instance: string | undefined): LinkHandler => {
    this.#log.info({ gateway: gateway.address }, 'linked to a gateway')
    this.#options.onUp?.(gateway, instance)
    this.#onChange?.()
    return {
      onFrame: (frame) => {
        if (!gateway.uids.onFrame(frame, link)) this.#options.onFrame?.(frame, gateway)
      },
    }
  }

  readonly #onDown = (gateway: PooledGateway): void => {
    this.#options.onDown?.(gateway)
    this.#removeUnlisted(gateway)
  }

  #removeUnlisted(gateway: PooledGateway): void {
    if (this.#listed.includes(gateway.address)) return
    void gateway.close()
    this.#gateways.delete(gateway.key)
  }

  #watch(): Watcher {
    const options = { ...this.#options, onFailure: this.#onFailure, onRefused: this.#onRefused }
    return watchGateways(options, this.#onAddresses)
  }

  #whenFound(callBytes: number): Promise<void> | undefined {
    if (this.#gateways.size > 0) return undefined
    if (this.#isClosed) return Promise.reject(clientClosed())
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    return this.#isUnreachable ? Promise.reject(this.#whyNobody) : this.#search.wait(callBytes)
  }

  /** Whether nobody listens where the registers should be, nobody ever did, and calls are not to wait for that to change. */
  get #isUnreachable(): boolean {
    return !this.#isListed && (this.#options.retryAfterMs ?? 0) > 0 && this.#watcher.isUnreachable
  }

  get #whyNobody(): GatewayWorkerError {
    const registers = this.#options.registerAddresses.map(withoutCredentials).join(', ')
    if (this.#isListed) return new GatewayWorkerError('NO_GATEWAY', `the register at ${registers} knows no gateway`)
    const words = this.#watcher.isUnreachable
      ? `no register listens at ${registers}`
      : `no register answered at ${registers} within ${this.deadlineMs} ms`
    return new GatewayWorkerError('NO_REGISTER', [words, ...this.#watcher.problems].join('; '))
  }

  /** Finds out if this process stood still: suspended, frozen or blocked. Then gateways may have given it up, and others have come. */
  readonly #checkClock = (): void => {
    const now = Date.now()
    const stoodStill = now - this.#awakeAt > this.#stoodStillMs
    this.#awakeAt = now
    if (!stoodStill || this.#isClosed) return
    for (const gateway of this.#gateways.values()) gateway.doubtLink()
    this.#watcher.close()
    this.#watcher = this.#watch()
    this.#relisting?.end()
    let end = () => {}
    const promise = new Promise<void>((resolve) => {
      const timer = setTimeout(() => end(), RELIST_MS)
      end = () => {
        clearTimeout(timer)
        this.#relisting = undefined
        resolve()
      }
    })
    this.#relisting = { end: () => end(), promise }
  }

  /** Writes what waits. Nothing comes back if that has left this process, but for gateways that are behind; else a promise that resolves when it has. */
  written(): Promise<unknown> | undefined {
    const waits: Promise<void>[] = []
    for (const { link } of this.#gateways.values()) {
      const wait = link?.written()
      if (wait !== undefined) waits.push(wait)
    }
    return waits.length === 0 ? undefined : Promise.all(waits)
  }

  /** Writes what waits. */
  flush(): void {
    for (const { link } of this.#gateways.values()) link?.flush()
  }
}

function clientClosed(): GatewayWorkerError {
  return new GatewayWorkerError('CLIENT_CLOSED', 'the client was closed')
}
