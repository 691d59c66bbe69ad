import type { GatewayWorkerError } from '@gatewayworker/protocol'

export interface ClusterSearchOptions {
  /** What calls that wait may weigh in all, in bytes. */
  bufferSizeBytes: number
  deadlineMs: number
  /** How long after a search that found nobody calls reject at once, in milliseconds; 0 for never. */
  retryAfterMs: number
  /** Why nobody was found, at the deadline. */
  whyNobody(): GatewayWorkerError
}

/** What a call that waits takes beside its payload. */
const OVERHEAD_BYTES = 512
/** Longer times overflow setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The wait for the first gateway of a cluster, with a circuit breaker:
 *
 * ```
 * first call ─▶ all calls wait, until its deadline ─┬─▶ a gateway is there: they go on in their order
 *      ▲                                            └─▶ nobody was found: they reject, and so does every call at once
 *      └──────────────── retryAfterMs later ◀────────────────────────────┘
 * ```
 * Invariants: every wait ends at the deadline of the search; what waits is bounded, and has one timer.
 */
export class ClusterSearch {
  readonly #options: ClusterSearchOptions
  #bytes = 0
  #failure: { error: GatewayWorkerError; until: number } | undefined
  #search: { end(error?: GatewayWorkerError): void; promise: Promise<void> } | undefined

  constructor(options: ClusterSearchOptions) {
    this.#options = options
  }

  /** Resolves when there is a gateway; rejects at the deadline, or at once after a search that has found nobody. */
  wait(payloadBytes: number): Promise<void> {
    if (this.#failure !== undefined && performance.now() < this.#failure.until)
      return Promise.reject(this.#failure.error)
    this.#failure = undefined
    if (this.#bytes >= this.#options.bufferSizeBytes) return Promise.reject(this.#options.whyNobody())
    this.#bytes += payloadBytes + OVERHEAD_BYTES
    this.#search ??= this.#begin()
    return this.#search.promise
  }

  /** There is a gateway. */
  found(): void {
    this.#failure = undefined
    this.#search?.end()
  }

  /** Waiting is of no use. */
  fail(error: GatewayWorkerError): void {
    this.#search?.end(error)
  }

  #begin() {
    let end: (error?: GatewayWorkerError) => void = () => {}
    const promise = new Promise<void>((resolve, reject) => {
      const { deadlineMs, retryAfterMs, whyNobody } = this.#options
      const timer = setTimeout(
        () => {
          const error = whyNobody()
          this.#failure = { error, until: performance.now() + retryAfterMs }
          end(error)
        },
        Math.min(deadlineMs, MAX_TIMER_MS),
      )
      end = (error) => {
        clearTimeout(timer)
        this.#search = undefined
        this.#bytes = 0
        if (error === undefined) resolve()
        else reject(error)
      }
    })
    return { end: (error?: GatewayWorkerError) => end(error), promise }
  }
}
