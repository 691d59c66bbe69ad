import type { GroupSummary, ProcessGroup } from './process-group.ts'

/** How long a stop may take from the first group to the last. */
const STOP_TIMEOUT_MS = 2500

/** Starts groups of processes together and stops them in turn. */
export class Master {
  readonly #groups: readonly ProcessGroup[]
  #stopped: Promise<void> | undefined

  /** The groups in the order of their table; they stop in the reverse order. */
  constructor(groups: readonly ProcessGroup[]) {
    this.#groups = groups
  }

  /** Starts all processes at once; resolves when all are ready, rejects with the first StartError. */
  async start(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.start()))
  }

  /** Stops the last group first, each when the one before is gone; what does not stop in time is killed. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopInTurn()
    return this.#stopped
  }

  /** Ends all processes at once. */
  kill(): void {
    for (const group of this.#groups) group.kill()
  }

  summary(): GroupSummary[] {
    return this.#groups.map((group) => group.summary())
  }

  async #stopInTurn(): Promise<void> {
    const startedAt = performance.now()
    for (const [turn, group] of this.#groups.toReversed().entries()) {
      // Time that a group does not need is for those after it.
      const deadline = startedAt + (STOP_TIMEOUT_MS * (turn + 1)) / this.#groups.length
      await group.stop(Math.round(deadline - performance.now()))
    }
  }
}
