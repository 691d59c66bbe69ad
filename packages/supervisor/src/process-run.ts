import type { ChildProcess } from 'node:child_process'
import type { Logger } from 'pino'
import type { MessageToChild, MessageToMaster, Questions, StartFailure, StartMessage } from './messages.ts'

/** A start that takes longer than this is mentioned in the log, so that a hang does not go unexplained. */
const SLOW_START_MS = 10_000

/** A child that has not answered by then is stuck, or stopped by a signal. */
const ANSWER_TIMEOUT_MS = 1000

/** How the processes of a group are started, stopped and understood. */
export interface ProcessKind {
  /** Whether a child can be asked what it counts. */
  canAnswer: boolean
  /** What a user is told about a failed start, if that is more than the failure's own message. */
  explain(failure: StartFailure, index: number): string | undefined
  fork(): ChildProcess
  /** What a message that a child sent means. */
  interpret(message: unknown): MessageToMaster | undefined
  /** Asks a child to end by itself; it is killed after `timeoutMs`, which may be Infinity. */
  requestStop(child: ChildProcess, timeoutMs: number): void
  /** The answer to a child's hello. */
  startMessage?(index: number, isSuccessor: boolean): StartMessage
}

/** How a process ended. */
export interface ProcessExit {
  code: number | null
  /** Why it did not get ready, if it has said so. */
  failure?: StartFailure
  /** Whether it wants to be started again at once. */
  restartRequested: boolean
  signal: NodeJS.Signals | null
  uptimeMs: number
}

/** What a process does; `waiting` is for a file to change, after a mistake in it. */
export type ProcessState = 'ready' | 'starting' | 'stopping' | 'waiting'

/** One process, from its fork to its end. */
export class ProcessRun {
  readonly exited: Promise<ProcessExit>
  /** Whether it can be asked for connections. */
  hasClients = false
  /** Whether it got ready, or waits to `begin`; false when it ended before. */
  readonly loaded: Promise<boolean>
  /** Whether it can be asked for what keeps it from being found and reached. */
  hasLinks = false
  /** What it listens on, once it has said so. */
  listen: string | undefined
  /** Whether it got ready; false when it ended before. */
  readonly ready: Promise<boolean>
  readonly startedAt = performance.now()
  state: ProcessState = 'starting'
  /** See RunningApp. */
  warnings: readonly string[] = []
  readonly #answers = new Map<number, (answer: unknown) => void>()
  readonly #child: ChildProcess
  readonly #index: number
  readonly #isSuccessor: boolean
  readonly #kind: ProcessKind
  readonly #log: Logger
  #failure: StartFailure | undefined
  #hasExited = false
  #lastQuestion = 0
  #restartRequested = false
  #resolveLoaded!: (isLoaded: boolean) => void
  #resolveReady!: (isReady: boolean) => void
  #slowStart: NodeJS.Timeout | undefined
  #stopTimeoutMs: number | undefined

  /** `isSuccessor`: another process has its place until `begin`. */
  constructor(kind: ProcessKind, index: number, log: Logger, isSuccessor = false) {
    this.#index = index
    this.#isSuccessor = isSuccessor
    this.#kind = kind
    this.#log = log
    this.#watchStart()
    this.loaded = new Promise((resolve) => {
      this.#resolveLoaded = resolve
    })
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve
    })
    this.#child = kind.fork()
    this.#child.on('message', (message) => this.#onMessage(message))
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(this.#onExit(code, signal)))
    })
    this.#child.on('error', (error) => {
      this.#failure = { message: error.message }
      // A process that could not even be created has no exit.
      if (this.pid === undefined) this.#child.emit('exit', null, null)
    })
  }

  get canAnswer(): boolean {
    return this.#kind.canAnswer && (this.state === 'ready' || this.state === 'stopping')
  }

  get hasExited(): boolean {
    return this.#hasExited
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Lets it begin, if it waits for that. */
  begin(): void {
    if (this.state !== 'starting') return
    this.#watchStart()
    sendTo(this.#child, { type: 'begin' })
  }

  /** Whether the process has let go, in time, of what only one of its place may have; one that is not ready yet has nothing. */
  async handOver(timeoutMs: number): Promise<boolean> {
    if (!this.canAnswer) return this.state === 'ready'
    return (await this.ask('handOver', timeoutMs, timeoutMs)) === true
  }

  /** Whether the process has again what it handed over. */
  async takeBack(timeoutMs: number): Promise<boolean> {
    return !this.canAnswer || (await this.ask('takeBack', undefined, timeoutMs)) === true
  }

  /** Asks the process to stop, kills it after the deadline (Infinity: never), and resolves when it is gone. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#hasExited) return
    this.state = 'stopping'
    this.#stopTimeoutMs = timeoutMs
    const deadline =
      timeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : setTimeout(() => {
            this.#log.warn({ killedPid: this.pid }, `did not stop within ${timeoutMs} ms: killed`)
            this.kill()
          }, timeoutMs)
    this.#kind.requestStop(this.#child, timeoutMs)
    await this.exited
    clearTimeout(deadline)
  }

  /** Ends the process at once. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** The answer of a process that `canAnswer`; undefined when it does not answer in time, or cannot. */
  ask<Q extends keyof Questions>(
    question: Q,
    query: Questions[Q]['query'],
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<Questions[Q]['answer'] | undefined> {
    this.#lastQuestion += 1
    const id = this.#lastQuestion
    return new Promise((resolve) => {
      const settle = (answer?: unknown): void => {
        clearTimeout(timer)
        this.#answers.delete(id)
        resolve(answer as Questions[Q]['answer'])
      }
      const timer = setTimeout(settle, timeoutMs)
      this.#answers.set(id, settle)
      sendTo(this.#child, { type: 'ask', id, query, question })
    })
  }

  #watchStart(): void {
    this.#slowStart = setTimeout(() => this.#log.warn({}, 'still starting'), SLOW_START_MS)
  }

  #onMessage(raw: unknown): void {
    const message = this.#kind.interpret(raw)
    switch (message?.type) {
      case 'hello':
        // A stop that was asked for before the child could hear is repeated.
        if (this.#stopTimeoutMs !== undefined) this.#kind.requestStop(this.#child, this.#stopTimeoutMs)
        else if (this.#kind.startMessage) sendTo(this.#child, this.#kind.startMessage(this.#index, this.#isSuccessor))
        break
      case 'loaded':
        clearTimeout(this.#slowStart)
        this.#resolveLoaded(true)
        break
      case 'ready':
        this.hasClients = message.hasClients
        this.hasLinks = message.hasLinks
        this.warnings = message.warnings
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
        if (this.state === 'starting') this.state = 'waiting'
        break
      case 'answer':
        this.#answers.get(message.id)?.(message.answer)
        break
    }
  }

  #onReady(listen: string | undefined): void {
    clearTimeout(this.#slowStart)
    this.listen = listen
    if (this.state !== 'stopping') this.state = 'ready'
    this.#resolveLoaded(true)
    this.#resolveReady(true)
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): ProcessExit {
    clearTimeout(this.#slowStart)
    this.#hasExited = true
    this.#resolveLoaded(false)
    this.#resolveReady(false)
    for (const settle of this.#answers.values()) settle(undefined)
    return {
      code,
      failure: this.#failure,
      restartRequested: this.#restartRequested,
      signal,
      uptimeMs: Math.round(performance.now() - this.startedAt),
    }
  }
}

/** Sends a message to a child that may be gone already, which its exit tells. */
export function sendTo(child: ChildProcess, message: MessageToChild): void {
  if (child.connected) child.send(message, () => {})
}
