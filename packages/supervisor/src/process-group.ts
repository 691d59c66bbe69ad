import type { Logger } from 'pino'
import type { ProcessKind } from './process-run.ts'
import { SupervisedProcess } from './supervised-process.ts'

/** A group's line in the table of processes. */
export interface GroupSummary {
  count: number
  listen: string
  name: string
}

/** What a group is, besides what its processes do. */
export interface GroupSettings {
  count: number
  /** How long a process may take to finish what it has begun when it is to end; without it, no longer than any other. */
  drainMs?: number
  name: string
  /** Whether a reload replaces its processes. */
  reloadable?: boolean
}

/** The processes of one kind and name, all alike but for their index. */
export class ProcessGroup {
  readonly drainMs: number | undefined
  readonly name: string
  readonly processes: readonly SupervisedProcess[]
  readonly reloadable: boolean

  constructor({ count, drainMs, name, reloadable = false }: GroupSettings, kind: ProcessKind, log: Logger) {
    this.drainMs = drainMs
    this.name = name
    this.processes = Array.from({ length: count }, (_, index) => new SupervisedProcess(name, index, kind, log))
    this.reloadable = reloadable
  }

  /** Starts all at once; resolves when all are ready, rejects with the first StartError. */
  async start(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.start()))
  }

  /** Stops all at once; resolves when all are gone. */
  async stop(timeoutMs: number): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop(timeoutMs)))
  }

  kill(): void {
    for (const process of this.processes) process.kill()
  }

  /** What is odd about its options or code, with its name. */
  warnings(): string[] {
    const texts = this.processes.flatMap(({ current }) => current?.warnings ?? [])
    return texts.map((text) => `${this.name}: ${text}`)
  }

  summary(): GroupSummary {
    return { count: this.processes.length, listen: this.processes[0]?.current?.listen ?? '', name: this.name }
  }
}
