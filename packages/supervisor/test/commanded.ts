import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { onTestFailed, onTestFinished } from 'vitest'
import type { ClusterStatus, ProcessStatus } from '../src/status/cluster-status.ts'
import { fixture, type LogLine, Program } from './program.ts'

const program = fixture('commanded.mjs')

/** How a command ended, and what it said. */
export interface Outcome {
  code: number
  errors: string
  text: string
}

/** A cluster of fixtures/commanded.mjs that takes commands; nothing of it is left after the test that made it. */
export class CommandedCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'commanded-'))
  readonly runDir = join(this.folder, 'run')
  readonly #programs: Program[] = []

  constructor() {
    onTestFailed(() => {
      if (existsSync(this.path('run/gatewayworker.log')))
        console.log(readFileSync(this.path('run/gatewayworker.log'), 'utf8'))
      for (const { log } of this.#programs) console.log(log)
    })
    onTestFinished(async () => {
      await this.#kill()
      rmSync(this.folder, { recursive: true })
    })
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Writes a module for workers: CommonJS, so that a change is seen without more. */
  write(name: string, code: string): string {
    writeFileSync(this.path(name), code)
    return this.path(name)
  }

  /** Runs a command to its end. */
  async run(command: string, ...args: string[]): Promise<Outcome> {
    const child = this.#spawn(command, args)
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    return { code, errors, text: output }
  }

  /** Runs a command until its output or errors are as expected, and interrupts it. */
  async runUntil(expected: RegExp, command: string, ...args: string[]): Promise<Outcome> {
    const child = this.#spawn(command, args)
    const said = { errors: '', text: '' }
    for (const [name, stream] of [
      ['text', child.stdout],
      ['errors', child.stderr],
    ] as const) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        said[name] += chunk
        if (expected.test(said[name])) child.kill('SIGINT')
      })
    }
    const [code] = await once(child, 'close')
    return { code, ...said }
  }

  /** Starts it in the foreground; resolves when all is ready. */
  async start(...args: string[]): Promise<Program> {
    const foreground = new Program(program, ['start', '--run-dir', this.runDir, ...args])
    this.#programs.push(foreground)
    await foreground.ready()
    return foreground
  }

  async status(): Promise<ClusterStatus> {
    return JSON.parse((await this.run('status', '--json')).text)
  }

  /** The processes of a group. */
  async processes(name: string): Promise<ProcessStatus[]> {
    return (await this.status()).processes.filter((status) => status.name === name)
  }

  /** The first line of the log file that fits, of those that are there or to come. */
  async logged(fits: (line: LogLine) => boolean, name = 'run/gatewayworker.log'): Promise<LogLine> {
    const watcher = watch(join(this.path(name), '..'))
    try {
      for (;;) {
        const changed = once(watcher, 'change')
        const lines = existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8').split('\n') : []
        const line = lines
          .filter((candidate) => candidate.startsWith('{') && candidate.endsWith('}'))
          .map((candidate): LogLine => JSON.parse(candidate))
          .find(fits)
        if (line !== undefined) return line
        await changed
      }
    } finally {
      watcher.close()
    }
  }

  pid(): number {
    return Number(readFileSync(join(this.runDir, 'master.pid'), 'utf8'))
  }

  #spawn(command: string, args: readonly string[]) {
    // --help, as the first argument, is about all commands.
    const runDir = command.startsWith('-') ? [] : ['--run-dir', this.runDir]
    return spawn(process.execPath, [program, command, ...runDir, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** Ends all that is known of, however that may be. */
  async #kill(): Promise<void> {
    for (const file of ['master.pid', 'children.pid']) {
      const path = join(this.runDir, file)
      if (!existsSync(path)) continue
      for (const pid of readFileSync(path, 'utf8').split('\n').filter(Boolean)) killIfAlive(Number(pid))
    }
    for (const foreground of this.#programs) {
      foreground.process.kill('SIGKILL')
      await foreground.exit()
    }
  }
}

/** Whether a process of this id lives. */
export function isAlive(pid: number | null): boolean {
  try {
    return process.kill(pid!, 0)
  } catch {
    return false
  }
}

function killIfAlive(pid: number): void {
  if (isAlive(pid)) process.kill(pid, 'SIGKILL')
}
