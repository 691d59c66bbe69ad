/** From so many on, one that comes makes the oldest go. */
const MAX_STRANGERS = 1024
/** How long a stranger stays at least, in milliseconds: those of a burst that nobody has had the time to hear yet are not sent away for each other. */
const GRACE_MS = 1_000

/**
 * The connections of a port that have not shown yet who they are. Nobody stays in here longer than `patienceMs`; and however many come, one that
 * speaks within a second is heard: who floods the port pushes out its own.
 */
export class Strangers<T> {
  readonly #since = new Map<T, number>()
  readonly #patienceMs: number

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  /** Takes one in; what comes back is to be sent away for it. Times are in milliseconds. */
  add(stranger: T, now = performance.now()): T | undefined {
    this.#since.set(stranger, now)
    if (this.#since.size <= MAX_STRANGERS) return undefined
    const [oldest, since] = this.#since.entries().next().value!
    if (now - since < GRACE_MS) return undefined
    this.#since.delete(oldest)
    return oldest
  }

  /** It is known now, or gone. */
  delete(stranger: T): void {
    this.#since.delete(stranger)
  }

  /** Takes out those whose time is over. */
  takeLate(now = performance.now()): T[] {
    const late: T[] = []
    for (const [stranger, since] of this.#since) {
      if (now - since < this.#patienceMs) break // so are all that follow
      this.#since.delete(stranger)
      late.push(stranger)
    }
    return late
  }
}
