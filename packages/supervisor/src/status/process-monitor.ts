import { setTimeout as sleep } from 'node:timers/promises'
import { LoopLag } from '../loop-lag.ts'
import type { Master } from '../master.ts'
import { version } from '../version.ts'
import type { ClusterStatus, ProcessStatus, StatusTotal } from './cluster-status.ts'
import { describePlace, emptyStatus } from './describe-place.ts'
import { findProblems, inWords, type Problems } from './find-problems.ts'
import { measureUsage } from './measure-usage.ts'

/** Rates need some time to be rates over; within this time the figures are the same. */
const SHORTEST_PERIOD_MS = 500

/** What was a rate longer ago says nothing of now. */
const LONGEST_PERIOD_MS = 10_000

/** What was read of all processes at one time. */
interface Sample {
  at: number
  processes: ProcessStatus[]
}

/** Asks all processes of a cluster what they do. */
export class ProcessMonitor {
  readonly #logFile: string | undefined
  readonly #loopLag = new LoopLag()
  readonly #master: Master
  #last: Sample | undefined
  #next: Promise<ClusterStatus> | undefined

  constructor(master: Master, logFile: string | undefined) {
    this.#logFile = logFile
    this.#master = master
  }

  /** The figures of now; whoever asks while others wait gets the same. */
  status(): Promise<ClusterStatus> {
    this.#next ??= this.#measure().finally(() => {
      this.#next = undefined
    })
    return this.#next
  }

  async #measure(): Promise<ClusterStatus> {
    const isRecent = this.#last !== undefined && performance.now() - this.#last.at < LONGEST_PERIOD_MS
    const before = isRecent ? this.#last! : await this.#sample(new Map())
    const missingMs = before.at + SHORTEST_PERIOD_MS - performance.now()
    const [problems] = await Promise.all([findProblems(this.#master.groups), sleep(Math.max(0, missingMs))])
    const now = await this.#sample(problems)
    this.#last = now
    for (const status of now.processes) status.requestsPerSecond = requestRate(status, before, now.at)
    return {
      logFile: this.#logFile ?? null,
      node: process.versions.node,
      problems: inWords(problems),
      processes: now.processes,
      total: addUp(now.processes),
      version,
    }
  }

  async #sample(problems: Problems): Promise<Sample> {
    const places = this.#master.groups.flatMap((group) => group.processes)
    const rows = await Promise.all(places.map((place) => describePlace(place, problems)))
    const at = performance.now()
    const processes = [this.#describeMaster(), ...rows.flat()]
    const usage = await measureUsage(processes.map(({ pid }) => pid).filter((pid) => pid !== null))
    for (const status of processes) Object.assign(status, usage.get(status.pid ?? 0))
    return { at, processes }
  }

  #describeMaster(): ProcessStatus {
    return {
      ...emptyStatus,
      condition: this.#master.isStopping ? 'stopping' : 'ready',
      eventLoopLagP99Ms: this.#loopLag.p99Ms(),
      name: 'master',
      pid: process.pid,
      uptimeMs: Math.round(process.uptime() * 1000),
    }
  }
}

function requestRate({ pid, requests }: ProcessStatus, before: Sample, at: number): number | null {
  const former = before.processes.find((candidate) => candidate.pid === pid)?.requests ?? null
  if (requests === null || former === null) return null
  return Math.round(((requests - former) * 1000) / (at - before.at))
}

function addUp(processes: readonly ProcessStatus[]): StatusTotal {
  const withClients = processes.filter(({ hasClients }) => hasClients)
  const traffic = withClients.length > 0 ? withClients : processes
  return {
    bufferedBytes: sum(processes, 'bufferedBytes'),
    connections: sum(traffic, 'connections'),
    cpuPercent: Math.round(sum(processes, 'cpuPercent') * 10) / 10,
    memoryBytes: sum(processes, 'memoryBytes'),
    pausedClients: sum(processes, 'pausedClients'),
    refusedConnections: sum(processes, 'refusedConnections'),
    requests: sum(traffic, 'requests'),
    requestsPerSecond: sum(traffic, 'requestsPerSecond'),
    restarts: sum(processes, 'restarts'),
    sends: sum(traffic, 'sends'),
    slowClients: sum(processes, 'slowClients'),
  }
}

function sum(processes: readonly ProcessStatus[], name: keyof StatusTotal): number {
  return processes.reduce((total, status) => total + (status[name] ?? 0), 0)
}
