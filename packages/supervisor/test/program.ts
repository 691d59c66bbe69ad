import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A line of a program's JSON log. */
export interface LogLine {
  [field: string]: unknown
  index?: number
  level: string
  msg: string
  pid: number
  process: string
}

/** The path of a program in fixtures/. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
}

/** A real process of a fixture: what it logs, and how it ends. */
export class Program {
  readonly log: LogLine[] = []
  readonly process: ChildProcess
  stderr = ''
  readonly #exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>

  /** `prefix` comes before its command line. */
  constructor(
    file: string,
    args: readonly string[] = [],
    env: Record<string, string> = {},
    prefix: readonly string[] = [],
  ) {
    const [command, ...rest] = [...prefix, process.execPath, file, ...args]
    this.process = spawn(command!, rest, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // 'exit' may come before the last output; 'close' comes when no child holds the output any more either.
    this.#exited = once(this.process, 'close') as Promise<[number | null, NodeJS.Signals | null]>
    this.process.stderr!.on('data', (chunk) => {
      this.stderr += chunk
    })
    createInterface(this.process.stdout!).on('line', (line) => {
      if (line.startsWith('{')) this.log.push(JSON.parse(line))
      this.process.emit('log')
    })
  }

  /** Resolves with the first line that fits, of those logged so far or later. */
  async line(fits: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const line = this.log.find(fits)
      if (line !== undefined) return line
      await Promise.race([once(this.process, 'log'), this.#failOnExit(fits)])
    }
  }

  /** Resolves when this many lines fit. */
  async lines(count: number, fits: (line: LogLine) => boolean): Promise<LogLine[]> {
    const seen = new Set<LogLine>()
    while (seen.size < count) seen.add(await this.line((line) => !seen.has(line) && fits(line)))
    return [...seen]
  }

  ready(): Promise<LogLine> {
    return this.line(({ msg }) => msg === 'all ready')
  }

  /** Resolves with the exit code, or the signal's name, when the program and all its children are gone. */
  async exit(): Promise<number | string | null> {
    const [code, signal] = await this.#exited
    return signal ?? code
  }

  async #failOnExit(fits: (line: LogLine) => boolean): Promise<void> {
    const [code] = await this.#exited
    if (!this.log.some(fits)) throw new Error(`ended with ${code} before the line came\n${this.stderr}`)
  }
}
