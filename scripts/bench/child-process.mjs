import { execFile, execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const STOP_PATIENCE_MS = 5000
/** The levels of a log line that are shown. */
const WARNINGS = new Set(['warn', 'error', 'fatal'])

/** Every child that runs, so that none outlives the bench. */
const running = new Set()

/** A Node program that the bench started; it reports by lines of JSON on stdout. */
export class ChildProcess {
  #child
  #exit
  #isStopping = false
  #name
  #onLine = undefined
  #watch

  /**
   * Starts `node ...args`; `name` says in messages which program it is. Its stderr goes to the bench's.
   *
   * @param {string} name
   * @param {string[]} args
   * @param {object} [options]
   * @param {Record<string, string>} [options.env] more than the bench's own
   * @param {(line: *) => void} [options.watch] is told of every line
   */
  constructor(name, args, { env = {}, watch = () => {} } = {}) {
    this.#name = name
    this.#watch = watch
    // A process group of its own: Ctrl-C reaches the bench alone, and a program's own children can be ended with it.
    this.#child = spawn(process.execPath, args, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    running.add(this)
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onStdoutLine(line))
    this.#exit = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(`could not be started: ${error.message}`))
      this.#child.on('close', (code, signal) => resolve(`ended with ${signal ?? `exit code ${code}`}`))
    })
    this.#exit.then((how) => this.#onExit(how))
  }

  get pid() {
    return this.#child.pid
  }

  /** The first line for which `isWanted` is true, parsed; rejects when the program ends or the deadline passes first. */
  async line(isWanted, deadlineMs) {
    const wanted = new Promise((resolve) => {
      this.#onLine = (line) => isWanted(line) && resolve(line)
    })
    const patience = new AbortController()
    const late = delay(deadlineMs, `said nothing of use within ${deadlineMs / 1000} s`, { signal: patience.signal })
    try {
      return await Promise.race([wanted, this.#failure(this.#exit), this.#failure(late)])
    } finally {
      patience.abort()
      this.#onLine = undefined
    }
  }

  /** Resolves after `durationMs`; rejects when the program has ended by then. */
  async stayUp(durationMs) {
    await Promise.race([delay(durationMs), this.#failure(this.#exit)])
  }

  /** Asks the program to end, insists (and says so) after 5 s, and resolves when it is gone; what is left of its group goes too. */
  async stop() {
    this.#isStopping = true
    this.#child.kill('SIGTERM')
    const insist = setTimeout(() => {
      process.stderr.write(`${this.#name} did not end within ${STOP_PATIENCE_MS / 1000} s\n`)
      this.kill()
    }, STOP_PATIENCE_MS)
    await this.#exit
    clearTimeout(insist)
    this.kill()
  }

  /** Ends the program and its children at once. */
  kill() {
    this.#isStopping = true
    if (this.#child.pid === undefined) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }

  async #failure(reason) {
    throw new Error(`${this.#name} ${await reason}`)
  }

  #onExit(how) {
    running.delete(this)
    // Whoever waits for a line says it; otherwise a server that died would show only as a load that lost its connections.
    if (!this.#isStopping && this.#onLine === undefined && how !== 'ended with exit code 0') {
      process.stderr.write(`${this.#name} ${how}\n`)
    }
  }

  /** Shows at once what the program warns of: figures made under a warning are worth less. */
  #onStdoutLine(text) {
    let line
    try {
      line = JSON.parse(text)
    } catch {
      return // not a log line
    }
    if (WARNINGS.has(line.level) && !this.#isStopping) process.stderr.write(`${this.#name}: ${text}\n`)
    this.#watch(line)
    this.#onLine?.(line)
  }
}

/** Ends every child at once, for a bench that is interrupted or failed. */
export function killChildren() {
  for (const child of running) child.kill()
}

/** The resident memory of a process in bytes, now. */
export function residentBytes(pid) {
  const kilobytes =
    process.platform === 'linux'
      ? /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]
      : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
  return Number(kilobytes) * 1024
}

/** The CPU time that a process has used, in all its threads, user and system, in microseconds, to 10 ms. Linux only. */
export function cpuTimeUs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [userTicks, systemTicks] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return (userTicks + systemTicks) * 10_000
}

/** The ids of a process's children, now. */
export async function childrenOf(pid) {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const processes = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  return processes.filter(([, parent]) => parent === pid).map(([child]) => child)
}
