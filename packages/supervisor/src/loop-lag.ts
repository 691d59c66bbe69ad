import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Often enough to see every delay that people notice, and rarely enough to cost nothing. */
const RESOLUTION_MS = 20

/** How much time the figure covers, at least; twice that at most. */
const PERIOD_MS = 30_000

/** How late this process's event loop was lately. */
export class LoopLag {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #previousP99Ms = 0

  constructor() {
    this.#delays.enable()
    setInterval(() => this.#turnOver(), PERIOD_MS).unref()
  }

  /** All but one in a hundred of the last half minute's delays were this short, in milliseconds. */
  p99Ms(): number {
    return Math.max(this.#previousP99Ms, this.#currentP99Ms())
  }

  #turnOver(): void {
    this.#previousP99Ms = this.#currentP99Ms()
    this.#delays.reset()
  }

  /** The histogram holds how long each pause was, of which the resolution is meant to be. */
  #currentP99Ms(): number {
    if (this.#delays.count === 0) return 0
    const lag = this.#delays.percentile(99) / 1e6 - RESOLUTION_MS
    return Math.max(0, Math.round(lag * 10) / 10)
  }
}
