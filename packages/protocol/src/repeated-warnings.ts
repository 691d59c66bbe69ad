import type { Log } from './log.ts'

/** How long repetitions are counted before a line says how many there were; twice as long each time while they go on. */
const FIRST_PAUSE_MS = 10_000
const LONGEST_PAUSE_MS = 600_000
/** Beyond so many entries at a time all peers of a kind are counted together: others decide how many peers there are. */
const MAX_ENTRIES = 64

interface Repetition {
  count: number
  details: object
  message: string
  pauseMs: number
  timer: NodeJS.Timeout
}

/** Logs a warning at once, and its repetitions as a count: for what strangers could make us log as often as they like. */
export class RepeatedWarnings {
  readonly #firstPauseMs: number
  readonly #log: Log
  readonly #repetitions = new Map<string, Repetition>()
  #isClosed = false

  constructor(log: Log, firstPauseMs = FIRST_PAUSE_MS) {
    this.#log = log
    this.#firstPauseMs = firstPauseMs
  }

  /**
   * Warnings of the same kind about the same peer repeat each other; the count comes with the last one's details and message. There must be few
   * kinds; there may be any number of peers.
   */
  warn(kind: string, peer: string, details: object, message: string): void {
    const own = `${kind} ${peer}`
    const isRoom = this.#repetitions.size < MAX_ENTRIES || this.#repetitions.has(own)
    const key = isRoom ? own : kind
    const known = this.#repetitions.get(key)
    if (known !== undefined) {
      known.count += 1
      known.details = details
      known.message = message
      return
    }
    this.#log.warn(details, message)
    if (this.#isClosed) return
    const pauseMs = this.#firstPauseMs
    this.#repetitions.set(key, { count: 0, details, message, pauseMs, timer: this.#countFor(key, pauseMs) })
  }

  /** Logs the counts there are; from then on nothing is counted, and everything logged at once. */
  close(): void {
    this.#isClosed = true
    for (const repetition of this.#repetitions.values()) {
      clearTimeout(repetition.timer)
      this.#summarize(repetition)
    }
    this.#repetitions.clear()
  }

  #countFor(key: string, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#onPauseOver(key), ms).unref()
  }

  #onPauseOver(key: string): void {
    const repetition = this.#repetitions.get(key)!
    if (repetition.count === 0) {
      this.#repetitions.delete(key)
      return
    }
    this.#summarize(repetition)
    repetition.count = 0
    repetition.pauseMs = Math.min(LONGEST_PAUSE_MS, repetition.pauseMs * 2)
    repetition.timer = this.#countFor(key, repetition.pauseMs)
  }

  #summarize({ count, details, message }: Repetition): void {
    if (count > 0) this.#log.warn({ ...details, times: count }, `${message} (repeated: ${count} times)`)
  }
}
