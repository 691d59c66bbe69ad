import { hashUid } from '@gatewayworker/protocol'
import type { PooledGateway } from './pooled-gateway.ts'

/** From so many orders by uid on it is worth the while to know where they are: a script that makes a few need not. */
const WORTHWHILE_ORDERS = 10
/** How often gateways are asked to go on telling, in milliseconds; an answer may be late several times as long. */
const WATCH_INTERVAL_MS = 1_000
/** After so many intervals without an order by uid it is not worth the while any more. */
const IDLE_INTERVALS = 10

/** A gateway, and those of some uids that it may hold. */
export interface Holder {
  readonly gateway: PooledGateway
  readonly uids: readonly string[]
}

/** Finds the gateways that may hold uids, and sees to it that those tell which ones they hold while that is asked often. */
export class UidLookup {
  readonly #gateways: () => Iterable<PooledGateway>
  #idleIntervals = 0
  #orders = 0
  #timer: NodeJS.Timeout | undefined

  constructor(gateways: () => Iterable<PooledGateway>) {
    this.#gateways = gateways
  }

  /** The gateways that may hold any of the uids, each with those of them; with the same list if that is all. */
  find(uids: readonly string[]): Holder[] {
    this.#onOrder()
    const now = performance.now()
    const hashed = uids.map((uid) => ({ hash: hashUid(uid), uid }))
    const found: Holder[] = []
    for (const gateway of this.#gateways()) {
      let held = 0
      for (const uid of hashed) if (gateway.uids.mayHold(uid, now)) held += 1
      if (held === 0) continue
      if (held === uids.length) found.push({ gateway, uids })
      else found.push({ gateway, uids: uids.filter((_, at) => gateway.uids.mayHold(hashed[at]!, now)) })
    }
    return found
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #onOrder(): void {
    this.#idleIntervals = 0
    this.#orders += 1
    if (this.#orders < WORTHWHILE_ORDERS || this.#timer !== undefined) return
    this.#timer = setInterval(this.#onInterval, WATCH_INTERVAL_MS).unref()
    this.#watch()
  }

  readonly #onInterval = (): void => {
    this.#idleIntervals += 1
    if (this.#idleIntervals <= IDLE_INTERVALS) {
      this.#watch()
      return
    }
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#orders = 0
  }

  #watch(): void {
    for (const { link, uids } of this.#gateways()) if (link !== undefined) void uids.watch(link)
  }
}
