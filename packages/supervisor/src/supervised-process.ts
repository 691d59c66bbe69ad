import type { Logger } from 'pino'
import type { StartFailure } from './messages.ts'
import { type ProcessExit, type ProcessKind, ProcessRun } from './process-run.ts'
import { nextRestartPauseMs } from './restart-pause.ts'
import { StartError } from './start-error.ts'

/** A process that is to take another's place, and is loaded. */
export interface Successor {
  /** Ends it; the other goes on, or takes its place back. */
  abandon(timeoutMs: number): Promise<void>
  /** Has the other hand the place over, if this one waits for that, and resolves when it is ready; a StartError, and the other goes on, when it ends before. */
  begin(handOverMs: number): Promise<void>
  /** Puts it in the place, and resolves when the process that was there has stopped; a StartError when it has ended meanwhile. */
  takeOver(timeoutMs: number): Promise<void>
  /** See RunningApp. */
  readonly warnings: readonly string[]
}

/** One place in a group, and the process that fills it: started again, after growing pauses, when it ends unasked. */
export class SupervisedProcess {
  readonly index: number
  readonly name: string
  /** How often a process of this place was started again after it had ended unasked. */
  restarts = 0
  readonly #kind: ProcessKind
  /** Those that were in this place, and take their time to stop. */
  readonly #leaving = new Set<ProcessRun>()
  readonly #log: Logger
  #current: ProcessRun | undefined
  /** Settles the first start; gone when that is over, and from then on the place is never given up. */
  #firstStart: { reject: (error: StartError) => void; resolve: () => void } | undefined
  /** The process that fills the place has handed over, if there is one: none is started, and what happens to it is no business of the place. */
  #isVacant = false
  #pauseMs = 0
  #revival: NodeJS.Timeout | undefined
  #stopping = false
  #successor: ProcessRun | undefined

  constructor(name: string, index: number, kind: ProcessKind, log: Logger) {
    this.index = index
    this.name = name
    this.#kind = kind
    this.#log = log.child({ process: name, index })
  }

  /** The process that fills the place; none while a pause lasts. */
  get current(): ProcessRun | undefined {
    return this.#current
  }

  /** All processes of this place: the one that fills it, its successor to be, those that leave. */
  get runs(): ProcessRun[] {
    return [this.#current, this.#successor, ...this.#leaving].filter((run) => run !== undefined)
  }

  /** Resolves when the process is ready; rejects with a StartError when it ends before, and does not try again then. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#firstStart = { reject, resolve }
      this.#fill()
    })
  }

  /** Asks the process to stop, kills it after the deadline (Infinity: never), and resolves when it is gone. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#revival)
    await Promise.all(this.runs.map((run) => run.stop(timeoutMs)))
  }

  /** Ends the process at once. */
  kill(): void {
    this.#stopping = true
    clearTimeout(this.#revival)
    for (const run of this.runs) run.kill()
  }

  /**
   * Starts another process beside the one that fills the place, which does not notice; resolves when it is loaded. A StartError when it
   * ends before, or is not loaded within the deadline.
   */
  async loadSuccessor(deadlineMs: number): Promise<Successor> {
    if (this.#stopping) throw this.#startError({ message: 'is about to stop' })
    const run = new ProcessRun(this.#kind, this.index, this.#log, true)
    this.#successor = run
    await this.#whenUp(run, run.loaded, deadlineMs)
    return {
      abandon: async (timeoutMs) => {
        this.#successor = undefined
        await this.#dismiss(run, timeoutMs)
        await this.#takeBack(deadlineMs)
      },
      begin: async (handOverMs) => {
        if (run.state === 'starting') await this.#vacate(handOverMs)
        run.begin()
        await this.#whenUp(run, run.ready, deadlineMs)
      },
      takeOver: async (timeoutMs) => {
        this.#successor = undefined
        if (run.hasExited) {
          await this.#takeBack(deadlineMs)
          throw this.#endedTooSoon(await run.exited, 'as soon as it was ready')
        }
        await this.#takeOver(run, timeoutMs)
      },
      get warnings() {
        return run.warnings
      },
    }
  }

  /** A StartError when a successor is not as far as that within the deadline; the place is then as it was. */
  async #whenUp(run: ProcessRun, isUp: Promise<boolean>, deadlineMs: number): Promise<void> {
    let tookTooLong = false
    const deadline = setTimeout(() => {
      tookTooLong = true
      run.kill()
    }, deadlineMs)
    const isThere = await isUp
    clearTimeout(deadline)
    if (isThere) return
    this.#successor = undefined
    const exit = await run.exited
    await this.#takeBack(deadlineMs)
    if (tookTooLong) throw this.#startError({ message: `was not ready within ${deadlineMs / 1000} s` })
    throw this.#endedTooSoon(exit, 'before it was ready')
  }

  /** Makes room for a successor: no other process is at work in the place, and none is started there. */
  async #vacate(timeoutMs: number): Promise<void> {
    this.#isVacant = true
    clearTimeout(this.#revival)
    const former = this.#current
    if (former === undefined || (await former.handOver(timeoutMs)) || former.hasExited) return
    if (former.state === 'ready') {
      this.#log.warn({ killedPid: former.pid, timeoutMs }, 'did not hand over: killed')
      former.kill()
      await former.exited
    } else await former.stop(timeoutMs)
  }

  /** A successor is none: the place belongs again to the process that has handed over, or to a new one. */
  async #takeBack(timeoutMs: number): Promise<void> {
    if (!this.#isVacant) return
    this.#isVacant = false
    if (this.#stopping) return
    const former = this.#current
    if (former === undefined) this.#fill()
    else if (!(await former.takeBack(timeoutMs)) && !former.hasExited) {
      this.#log.error({ killedPid: former.pid }, 'could not take its place back: killed')
      former.kill()
    }
  }

  async #takeOver(run: ProcessRun, timeoutMs: number): Promise<void> {
    const former = this.#current
    // The former one may have died meanwhile, and be due to be started again.
    clearTimeout(this.#revival)
    this.#current = run
    this.#isVacant = false
    this.#pauseMs = 0
    void this.#watchEnd(run, true)
    this.#log.info({ formerPid: former?.pid, startedPid: run.pid }, 'replaced')
    if (former !== undefined) await this.#dismiss(former, timeoutMs)
  }

  async #dismiss(run: ProcessRun, timeoutMs: number): Promise<void> {
    this.#leaving.add(run)
    await run.stop(timeoutMs)
    this.#leaving.delete(run)
  }

  #fill(): void {
    this.#current = new ProcessRun(this.#kind, this.index, this.#log)
    void this.#watch(this.#current)
  }

  async #watch(run: ProcessRun): Promise<void> {
    const isReady = await run.ready
    if (isReady && run === this.#current) this.#onReady(run)
    await this.#watchEnd(run, isReady)
  }

  async #watchEnd(run: ProcessRun, wasReady: boolean): Promise<void> {
    const exit = await run.exited
    // One that was replaced, or has yet to take the place, is no business of the place.
    if (run === this.#current) this.#onExit(run, exit, wasReady)
  }

  #onReady(run: ProcessRun): void {
    if (this.#firstStart === undefined) this.#log.info({ startedPid: run.pid }, 'started again')
    this.#firstStart?.resolve()
    this.#firstStart = undefined
  }

  #onExit(run: ProcessRun, exit: ProcessExit, wasReady: boolean): void {
    this.#current = undefined
    if (this.#stopping || this.#isVacant) return
    if (exit.restartRequested) {
      this.#fill()
      return
    }
    if (this.#firstStart !== undefined) {
      this.#stopping = true
      this.#firstStart.reject(this.#endedTooSoon(exit, 'before it was ready'))
      return
    }

    const { code, signal, uptimeMs } = exit
    this.#pauseMs = nextRestartPauseMs(this.#pauseMs, uptimeMs)
    const failure = exit.failure && this.#explain(exit.failure)
    const why = failure === undefined ? '' : ` (${failure.message})`
    this.#log.error(
      { code, exitedPid: run.pid, pauseMs: this.#pauseMs, signal, stack: failure?.stack, uptimeMs },
      `${describeExit(exit)} ${wasReady ? `after ${uptimeMs} ms` : 'before it was ready'}${why}; starts again in ${this.#pauseMs} ms`,
    )
    this.restarts += 1
    this.#revival = setTimeout(() => this.#fill(), this.#pauseMs)
  }

  #endedTooSoon(exit: ProcessExit, when: string): StartError {
    return this.#startError(exit.failure ?? { message: `${describeExit(exit)} ${when}` })
  }

  #startError(failure: StartFailure): StartError {
    const { message, stack } = this.#explain(failure)
    return new StartError(this.name, this.index, message, stack)
  }

  /** A failure that could be explained needs no stack. */
  #explain(failure: StartFailure): StartFailure {
    const message = this.#kind.explain(failure, this.index)
    return message === undefined ? failure : { message }
  }
}

function describeExit({ code, signal }: ProcessExit): string {
  return `ended with ${signal === null ? `code ${code}` : `signal ${signal}`}`
}
