import type { Logger } from 'pino'
import { type ProcessKind, SupervisedProcess } from './supervised-process.ts'

/** A group's line in the table of processes. */
export interface GroupSummary {
  count: number
  listen: string
  name: string
}

/** The processes of one kind and name, all alike but for their index. */
export class ProcessGroup {
  readonly name: string
  readonly #processes: SupervisedProcess[]

  constructor(name: string, count: number, kind: ProcessKind, log: Logger) {
    this.name = name
    this.#processes = Array.from({ length: count }, (_, index) => new SupervisedProcess(name, index, kind, log))
  }

  /** Starts all at once; resolves when all are ready, rejects with the first StartError. */
  async start(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.start()))
  }

  /** Stops all at once; resolves when all are gone. */
  async stop(deadlineMs: number): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop(deadlineMs)))
  }

  kill(): void {
    for (const process of this.#processes) process.kill()
  }

  summary(): GroupSummary {
    return { count: this.#processes.length, listen: this.#processes[0]?.listen ?? '', name: this.name }
  }
}
