/** A line about the same thing is logged this often at most, in milliseconds. */
const PAUSE_MS = 10_000

/** Thins out a line that others could make us write as often as they like. */
export class LogThrottle {
  #count = 0
  #loggedAt = Number.NEGATIVE_INFINITY

  /** It has happened: how often since the last line, this time included, if another line is due; else 0. */
  add(now = performance.now()): number {
    this.#count += 1
    if (now < this.#loggedAt + PAUSE_MS) return 0
    const count = this.#count
    this.#count = 0
    this.#loggedAt = now
    return count
  }
}
