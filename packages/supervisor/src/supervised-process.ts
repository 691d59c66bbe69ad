import type { ChildProcess } from 'node:child_process'
import type { Logger } from 'pino'
import type { MessageToChild, MessageToMaster, StartFailure, StartMessage } from './messages.ts'
import { nextRestartPauseMs } from './restart-pause.ts'
import { StartError } from './start-error.ts'

/** A start that takes longer than this is mentioned in the log, so that a hang does not go unexplained. */
const SLOW_START_MS = 10_000

/** How the processes of a group are started, stopped and understood. */
export interface ProcessKind {
  /** What a user is told about a failed start, if that is more than the failure's own message. */
  explain(failure: StartFailure, index: number): string | undefined
  fork(): ChildProcess
  /** What a message that a child sent means. */
  interpret(message: unknown): MessageToMaster | undefined
  /** Asks a child to end by itself. */
  requestStop(child: ChildProcess): void
  /** The answer to a child's hello. */
  startMessage?(index: number): StartMessage
}

/** One place in a group, and the process that fills it: started again, after growing pauses, when it ends unasked. */
export class SupervisedProcess {
  /** What the process listens on, once it has said so. */
  listen: string | undefined
  readonly #index: number
  readonly #kind: ProcessKind
  readonly #log: Logger
  readonly #name: string
  #child: ChildProcess | undefined
  #failure: StartFailure | undefined
  /** Settles the first start; gone when that is over, and from then on the place is never given up. */
  #firstStart: { reject: (error: StartError) => void; resolve: () => void } | undefined
  #isReady = false
  #pauseMs = 0
  #restartRequested = false
  #revival: NodeJS.Timeout | undefined
  #slowStart: NodeJS.Timeout | undefined
  #startedAt = 0
  #stopping = false

  constructor(name: string, index: number, kind: ProcessKind, log: Logger) {
    this.#index = index
    this.#kind = kind
    this.#log = log.child({ process: name, index })
    this.#name = name
  }

  /** Resolves when the process is ready; rejects with a StartError when it ends before, and does not try again then. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#firstStart = { reject, resolve }
      this.#fork()
    })
  }

  /** Asks the process to stop, kills it after the deadline, and resolves when it is gone. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#revival)
    const child = this.#child
    if (child === undefined) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const deadline = setTimeout(() => {
      this.#log.warn({ killedPid: child.pid }, `did not stop within ${deadlineMs} ms: killed`)
      child.kill('SIGKILL')
    }, deadlineMs)
    this.#kind.requestStop(child)
    await gone
    clearTimeout(deadline)
  }

  /** Ends the process at once. */
  kill(): void {
    this.#stopping = true
    clearTimeout(this.#revival)
    this.#child?.kill('SIGKILL')
  }

  #fork(): void {
    this.#failure = undefined
    this.#isReady = false
    this.#restartRequested = false
    this.#startedAt = performance.now()
    this.#slowStart = setTimeout(() => this.#log.warn({}, 'still starting'), SLOW_START_MS)
    const child = this.#kind.fork()
    this.#child = child
    child.on('message', (message) => this.#onMessage(child, message))
    child.once('exit', (code, signal) => this.#onExit(code, signal))
    child.on('error', (error) => {
      this.#failure = { message: error.message }
      // A process that could not even be created has no exit.
      if (child.pid === undefined) child.emit('exit', null, null)
    })
  }

  #onMessage(child: ChildProcess, raw: unknown): void {
    const message = this.#kind.interpret(raw)
    switch (message?.type) {
      case 'hello':
        // A stop that was asked for before the child could hear is repeated.
        if (this.#stopping) this.#kind.requestStop(child)
        else if (this.#kind.startMessage) sendTo(child, this.#kind.startMessage(this.#index))
        break
      case 'ready':
        this.#onReady(message.listen)
        break
      case 'failed':
        this.#failure = message.failure
        break
      case 'restart':
        this.#restartRequested = true
        break
      case 'waiting':
        // For a change that may never come: this is no slow start.
        clearTimeout(this.#slowStart)
        break
    }
  }

  #onReady(listen: string | undefined): void {
    clearTimeout(this.#slowStart)
    this.#isReady = true
    this.listen = listen
    if (this.#firstStart === undefined) this.#log.info({ startedPid: this.#child?.pid }, 'started again')
    this.#firstStart?.resolve()
    this.#firstStart = undefined
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#slowStart)
    const exitedPid = this.#child?.pid
    this.#child = undefined
    if (this.#stopping) return
    if (this.#restartRequested) {
      this.#fork()
      return
    }

    const uptimeMs = Math.round(performance.now() - this.#startedAt)
    const how = `ended with ${signal === null ? `code ${code}` : `signal ${signal}`}`
    if (this.#firstStart !== undefined) {
      this.#giveUp(this.#failure ?? { message: `${how} before it was ready` })
      return
    }

    this.#pauseMs = nextRestartPauseMs(this.#pauseMs, uptimeMs)
    const failure = this.#failure && this.#explain(this.#failure)
    const why = failure === undefined ? '' : ` (${failure.message})`
    this.#log.error(
      { code, exitedPid, pauseMs: this.#pauseMs, signal, stack: failure?.stack, uptimeMs },
      `${how} ${this.#isReady ? `after ${uptimeMs} ms` : 'before it was ready'}${why}; starts again in ${this.#pauseMs} ms`,
    )
    this.#revival = setTimeout(() => this.#fork(), this.#pauseMs)
  }

  #giveUp(failure: StartFailure): void {
    this.#stopping = true
    const { message, stack } = this.#explain(failure)
    this.#firstStart?.reject(new StartError(this.#name, this.#index, message, stack))
  }

  /** A failure that could be explained needs no stack. */
  #explain(failure: StartFailure): StartFailure {
    const message = this.#kind.explain(failure, this.#index)
    return message === undefined ? failure : { message }
  }
}

/** Sends a message to a child that may be gone already, which its exit tells. */
export function sendTo(child: ChildProcess, message: MessageToChild): void {
  if (child.connected) child.send(message, () => {})
}
