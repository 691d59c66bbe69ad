/** What one message, and one byte of it, cost: milliseconds of somebody's time. */
export interface RateCosts {
  byteMs: number
  messageMs: number
}

/** How much of it may be used up at once, in milliseconds. */
const BURST_MS = 1_000

/** The costs that let somebody send so many messages and bytes a second; 0 for any number. */
export function rateCosts(messagesPerSecond: number, bytesPerSecond: number): RateCosts {
  return {
    byteMs: bytesPerSecond > 0 ? 1_000 / bytesPerSecond : 0,
    messageMs: messagesPerSecond > 0 ? 1_000 / messagesPerSecond : 0,
  }
}

/**
 * How much somebody has sent of late: two token buckets, for messages and bytes, each kept as the time until which it is used up. A bucket
 * holds what a second allows; a message that finds something in it is paid though there is less than it costs, so that a long one passes.
 *
 * ```
 *   now - 1 s ────────────── now ──────────────▶
 *   full       half used      │ empty: over until then
 * ```
 */
export class Rate {
  /** Whether it was over at any time. */
  wasOver = false
  readonly #costs: RateCosts
  #bytesUntil = Number.NEGATIVE_INFINITY
  #messagesUntil = Number.NEGATIVE_INFINITY

  constructor(costs: RateCosts) {
    this.#costs = costs
  }

  /** Whether all is used up. `now` may be as coarse as a tenth of a second. */
  isOver(now: number): boolean {
    return this.#messagesUntil > now || this.#bytesUntil > now
  }

  /** Whether nothing is used up. */
  isWhole(now: number): boolean {
    return this.#messagesUntil <= now - BURST_MS && this.#bytesUntil <= now - BURST_MS
  }

  /** Pays for messages, and for bytes. */
  charge(now: number, messages: number, bytes: number): void {
    const full = now - BURST_MS
    this.#messagesUntil = Math.max(this.#messagesUntil, full) + this.#costs.messageMs * messages
    this.#bytesUntil = Math.max(this.#bytesUntil, full) + this.#costs.byteMs * bytes
  }
}
