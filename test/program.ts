import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { within } from './deadline.ts'

/** One line of a log; text that is no JSON is a message of the program's own. */
export interface LogLine {
  index?: number
  level: string
  msg: string
  pid: number
  process: string
  [detail: string]: unknown
}

/** What a log line must have: equal values, or text that matches. */
export type LinePattern = Record<string, unknown>

/** How a program ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

const LOGGED_LINES = 60

/** A program that was started as a user starts it, with everything that it says; its children write to the same log. */
export class Program {
  /** Resolves when it and all its children, who hold its output open, are gone. */
  readonly exited: Promise<Exit>
  readonly lines: LogLine[] = []
  readonly name: string
  /** Whether a test has killed it with -9, so that it cannot end as it should. */
  wasKilled = false
  readonly #child: ChildProcess
  readonly #output: string[] = []
  readonly #watchers = new Set<(line: LogLine) => void>()
  #errors = ''
  #exit: Exit | undefined

  /**
   * `script` is relative to the repository; of the environment's GW_ variables it gets only those in `env`; `prefix` comes before its command
   * line, as that of a host in network.ts.
   */
  constructor(
    script: string,
    args: readonly string[] = [],
    env: Record<string, string> = {},
    prefix: readonly string[] = [],
  ) {
    this.name = script.replace(/^.*\//, '')
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GW_'))
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url))
    const [command = '', ...rest] = [...prefix, script.endsWith('.php') ? 'php' : process.execPath, path, ...args]
    this.#child = spawn(command, rest, {
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#read(this.#child.stdout!, this.#onLine)
    this.#read(this.#child.stderr!, (line) => {
      this.#errors += `${line}\n`
    })
    this.exited = this.#whenExited()
  }

  /** What it wrote to stderr. */
  get errors(): string {
    return this.#errors
  }

  /** The end of what it wrote, for a failed test. */
  get output(): string {
    const end = this.#exit === undefined ? 'runs' : `ended with ${this.#exit.signal ?? this.#exit.code}`
    return [`--- ${this.name} (${end})`, ...this.#output.slice(-LOGGED_LINES)].join('\n')
  }

  /** What it wrote, line by line, whether JSON or not. */
  get text(): string {
    return this.#output.join('\n')
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** The ids of its own process and of every child that ever wrote a line. */
  get pids(): Set<number> {
    return new Set([this.#child.pid!, ...this.lines.map(({ pid }) => pid)])
  }

  /** The latest "ready" line of a child; throws if there is none. */
  child(index = 0): LogLine {
    const line = this.lines.findLast((line) => matches(line, { msg: 'ready', index }))
    if (line === undefined) throw new Error(`${this.name} has no child #${index}`)
    return line
  }

  /** Resolves when all its children have said that they are ready. */
  async ready(): Promise<this> {
    await this.line({ msg: 'all ready' })
    return this
  }

  /** The first line that matches, of those that are there or else to come. */
  async line(pattern: LinePattern): Promise<LogLine> {
    return this.lines.find((line) => matches(line, pattern)) ?? this.next(pattern)
  }

  /** The first line to come that matches. */
  async next(pattern: LinePattern, deadlineMs?: number): Promise<LogLine> {
    let watcher: ((line: LogLine) => void) | undefined
    const seen = new Promise<LogLine>((resolve) => {
      watcher = (line) => matches(line, pattern) && resolve(line)
      this.#watchers.add(watcher)
    })
    const ended = this.exited.then(() => Promise.reject(new Error(`${this.name} ended:\n${this.output}`)))
    const what = `a line of ${this.name} with ${describe(pattern)}`
    try {
      return await within(Promise.race([seen, ended]), what, deadlineMs)
    } finally {
      this.#watchers.delete(watcher!)
    }
  }

  /** Kills a child with -9; resolves with the "ready" line of the one that takes its place. */
  async killChild(index = 0): Promise<LogLine> {
    const { pid } = this.child(index)
    const revived = this.next({ msg: 'ready', index })
    process.kill(pid, 'SIGKILL')
    return revived
  }

  /** Sends it a signal, which is for its own process only. */
  kill(signal: NodeJS.Signals): void {
    this.wasKilled ||= signal === 'SIGKILL'
    this.#child.kill(signal)
  }

  /** Asks it to stop, as a service manager does. Rejects if that takes too long, or leaves a process behind. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.#exit === undefined) this.kill(signal)
    const exit = await within(this.exited, `the end of ${this.name} after ${signal}`)
    const left = [...this.pids].filter(isRunning)
    if (left.length > 0) throw new Error(`${this.name} left processes behind: ${left.join(', ')}`)
    return exit
  }

  /** Ends it and every child that is known, however that may be. */
  async killAll(): Promise<void> {
    for (const pid of this.pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
    await this.exited
  }

  async #whenExited(): Promise<Exit> {
    const [code, signal] = await once(this.#child, 'close')
    this.#exit = { code, signal }
    return this.#exit
  }

  #read(stream: Readable, onLine: (line: string) => void): void {
    createInterface(stream).on('line', (line) => {
      this.#output.push(line)
      onLine(line)
    })
  }

  readonly #onLine = (text: string): void => {
    const isJson = text.startsWith('{')
    const line = isJson ? JSON.parse(text) : { level: '', msg: text, pid: this.#child.pid, process: this.name }
    this.lines.push(line)
    for (const watcher of this.#watchers) watcher(line)
  }
}

/** Whether a process of this id lives. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function matches(line: LogLine, pattern: LinePattern): boolean {
  return Object.entries(pattern).every(([key, expected]) =>
    expected instanceof RegExp ? expected.test(String(line[key])) : line[key] === expected,
  )
}

function describe(pattern: LinePattern): string {
  return Object.entries(pattern)
    .map(([key, value]) => `${key} ${value instanceof RegExp ? value : JSON.stringify(value)}`)
    .join(', ')
}
