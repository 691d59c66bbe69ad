import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const PROBE_URL = new URL('./process-probe.mjs', import.meta.url).href
const POLL_MS = 100
const DEADLINE_MS = 60_000

/** What process-probe.mjs tells of the processes that are started with `env`. */
export class Probes {
  #folder = mkdtempSync(join(tmpdir(), 'gatewayworker-bench-'))

  constructor() {
    process.once('exit', () => this.remove())
  }

  /** The environment that makes a process tell. */
  get env() {
    const nodeOptions = `${process.env.NODE_OPTIONS ?? ''} --import=${PROBE_URL}`.trim()
    return { NODE_OPTIONS: nodeOptions, PROCESS_PROBE_FOLDER: this.#folder }
  }

  /**
   * What these processes came to from one moment to another (`Date.now()`), all together: their share of one core, and how late their
   * event loops were.
   */
  between(pids, fromMs, toMs) {
    const lagsMs = []
    let cpuUs = 0
    for (const pid of pids) {
      const lines = this.#linesOf(pid)
      const inside = lines.filter(({ atMs }) => atMs > fromMs && atMs <= toMs)
      // A process that was started meanwhile has no line before: its start is in the first.
      const before = lines.findLast(({ atMs }) => atMs <= fromMs)
      if (inside.length > 0) cpuUs += inside.at(-1).cpuUs - (before?.cpuUs ?? 0)
      for (const line of inside) lagsMs.push(...line.lagsMs)
    }
    lagsMs.sort((a, b) => a - b)
    const lagAt = (share) => lagsMs[Math.max(0, Math.ceil(share * lagsMs.length) - 1)] ?? 0
    return { cpuShare: cpuUs / 1000 / (toMs - fromMs), lagP99Ms: lagAt(0.99), lagMaxMs: lagAt(1) }
  }

  /** The processes that were started after a moment (`Date.now()`). */
  pidsSince(sinceMs) {
    const pids = readdirSync(this.#folder).map((name) => Number.parseInt(name, 10))
    return pids.filter((pid) => this.#linesOf(pid)[0]?.atMs > sinceMs)
  }

  /** The memory of these processes, all together, after each has collected its garbage. */
  async collectedMemory(pids) {
    const since = Date.now()
    const signal = join(this.#folder, 'collect')
    writeFileSync(signal, '')
    const latest = (pid) => this.#linesOf(pid).at(-1)
    const isDone = (line) => line !== undefined && line.atMs > since && line.hasCollected
    await until(() => pids.every((pid) => isDone(latest(pid))), 'garbage was not collected everywhere')
    const lines = pids.map(latest)
    rmSync(signal)
    await until(() => pids.every((pid) => latest(pid)?.hasCollected === false), 'a process says no more')
    const sum = (key) => lines.reduce((total, line) => total + line[key], 0)
    return { heapBytes: sum('heapBytes'), residentBytes: sum('residentBytes') }
  }

  /** Throws away what has been told. */
  remove() {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  #linesOf(pid) {
    let text
    try {
      text = readFileSync(join(this.#folder, `${pid}.jsonl`), 'utf8')
    } catch {
      return [] // it has only just started
    }
    // The last line may not be whole yet.
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  }
}

async function until(isSo, otherwise) {
  const deadline = performance.now() + DEADLINE_MS
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`${otherwise} within ${DEADLINE_MS / 1000} s.`)
    await delay(POLL_MS)
  }
}
