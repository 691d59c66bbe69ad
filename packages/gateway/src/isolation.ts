export interface IsolationOptions {
  /** Whether the gateway sees nobody of the cluster now. */
  isCutOff(): boolean
  /** Called once for each time that it was so for `timeoutMs`. */
  onIsolated(): void
  timeoutMs: number
}

const CHECKS = 10
const LONGEST_CHECK_MS = 1_000

/**
 * Notices that the gateway's host is cut off from the cluster.
 *
 * Its workers give a gateway up that no register knows, and run `onClose` for its clients. So that none of these is served afterwards, and closed
 * a second time, the gateway must have given them up itself by then.
 */
export class Isolation {
  readonly #options: IsolationOptions
  readonly #timer: NodeJS.Timeout
  #since: number | undefined
  #wasReported = false

  constructor(options: IsolationOptions) {
    this.#options = options
    this.#timer = setInterval(this.#check, Math.min(LONGEST_CHECK_MS, options.timeoutMs / CHECKS)).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  readonly #check = (): void => {
    if (!this.#options.isCutOff()) {
      this.#since = undefined
      this.#wasReported = false
      return
    }
    this.#since ??= performance.now()
    if (this.#wasReported || performance.now() - this.#since < this.#options.timeoutMs) return
    this.#wasReported = true
    this.#options.onIsolated()
  }
}
