import type { Log } from '@gatewayworker/protocol'

/** How long after a report others with the same code are only counted, in milliseconds. */
const QUIET_MS = 10_000

/**
 * The calls that failed while nobody held their promise (`void Gateway.joinGroup(…)`). Node would end the program for each: here they are
 * reported, to the log or as warnings of the process, one for each code in ten seconds and the number of the others after that.
 */
export class DroppedCalls {
  readonly #findLog: () => Log | undefined
  /** Code → failures since its last report. */
  readonly #unreported = new Map<string, number>()

  constructor(findLog: () => Log | undefined) {
    this.#findLog = findLog
  }

  /** The call's promise as its caller may have it: whoever takes it sees the rejection, and if nobody does, it is reported. */
  watch<T>(result: Promise<T>): Promise<T> {
    const call = new CallPromise<T>((resolve, reject) => {
      result.then(resolve, (error) => {
        reject(error)
        if (!call.isTaken) this.#onFailure(call, error)
      })
    })
    return call
  }

  #onFailure(call: CallPromise<unknown>, error: unknown): void {
    call.markHandled()
    // The caller may take it later in this turn.
    setImmediate(() => {
      if (!call.isTaken) this.#count(error as Error & { code?: string })
    })
  }

  #count(error: Error & { code?: string }): void {
    const code = error.code ?? error.name
    const unreported = this.#unreported.get(code)
    if (unreported !== undefined) {
      this.#unreported.set(code, unreported + 1)
      return
    }
    this.#report(code, `a call that nobody waits for failed: ${error.message}`, error)
    this.#beQuiet(code)
  }

  #beQuiet(code: string): void {
    this.#unreported.set(code, 0)
    const onEnd = () => {
      const unreported = this.#unreported.get(code)
      this.#unreported.delete(code)
      if (unreported === undefined || unreported === 0) return
      this.#report(code, `${unreported} more calls that nobody waits for failed with ${code}`)
      this.#beQuiet(code)
    }
    setTimeout(onEnd, QUIET_MS).unref()
  }

  #report(code: string, message: string, err?: Error): void {
    const log = this.#findLog()
    if (log === undefined) process.emitWarning(message, { code, type: 'GatewayWorkerWarning' })
    else log.warn({ code, err }, message)
  }
}

/** A promise that knows whether somebody takes its result. */
class CallPromise<T> extends Promise<T> {
  isTaken = false

  /** What comes of it is a promise like any other. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  override then<Result = T, Failure = never>(
    onFulfilled?: ((value: T) => Result | PromiseLike<Result>) | null,
    onRejected?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    this.isTaken = true
    return super.then(onFulfilled, onRejected)
  }

  /** Keeps Node from ending the program for a rejection that is reported otherwise. */
  markHandled(): void {
    super.then(undefined, () => {})
  }
}
