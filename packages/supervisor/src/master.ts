import type { GroupSummary, ProcessGroup } from './process-group.ts'
import { type Reloaded, type Report, reloadGroups } from './reload.ts'
import { UsageError } from './usage-error.ts'

/** How long a stop may take from the first group to the last, but for those that drain. */
const STOP_TIMEOUT_MS = 2500

/**
 * How long processes that drain may take: at a `quick` stop no longer than any other, at a `graceful` one the time that is set for
 * them, at a `patient` one as long as they need.
 */
export type StopManner = 'graceful' | 'patient' | 'quick'

/** Starts groups of processes together, replaces those that are reloadable, and stops them all in turn. */
export class Master {
  readonly groups: readonly ProcessGroup[]
  #manner: StopManner = 'quick'
  #reloading = false
  #started = false
  #stopped: Promise<void> | undefined
  /** The group whose turn it is to stop, and how long it may take unless it drains. */
  #stopsNow: { group: ProcessGroup; quickMs: number } | undefined

  /** The groups in the order of their table; they stop in the reverse order. */
  constructor(groups: readonly ProcessGroup[]) {
    this.groups = groups
  }

  get isStopping(): boolean {
    return this.#stopped !== undefined
  }

  /** Starts all processes at once; resolves when all are ready, rejects with the first StartError. */
  async start(): Promise<void> {
    await Promise.all(this.groups.map((group) => group.start()))
    this.#started = true
  }

  /** See reloadGroups; a reload while another one runs, or during a stop, is refused with a UsageError. */
  async reload(report: Report): Promise<Reloaded> {
    if (this.isStopping) throw new UsageError('the cluster is about to stop')
    if (!this.#started) throw new UsageError('the cluster is still starting')
    if (this.#reloading) throw new UsageError('another reload is under way; try again when it is over')
    this.#reloading = true
    try {
      return await reloadGroups(this.groups, report)
    } finally {
      this.#reloading = false
    }
  }

  /**
   * Stops the last group first, each when the one before is gone; what does not stop in time is killed. Called again, it changes
   * the manner.
   */
  stop(manner: StopManner, report: Report = () => {}): Promise<void> {
    this.#manner = manner
    if (this.#stopped === undefined) this.#stopped = this.#stopInTurn(report)
    else void this.#stopNextGroup()
    return this.#stopped
  }

  /** Ends all processes at once. */
  kill(): void {
    for (const group of this.groups) group.kill()
  }

  summary(): GroupSummary[] {
    return this.groups.map((group) => group.summary())
  }

  /** What is odd about options or code, with the names of groups. */
  warnings(): string[] {
    return [...new Set(this.groups.flatMap((group) => group.warnings()))]
  }

  async #stopInTurn(report: Report): Promise<void> {
    let spentMs = 0
    for (const [turn, group] of this.groups.toReversed().entries()) {
      report(`stopping ${group.name}`)
      const startedAt = performance.now()
      // Time that a group does not need is for those after it; what one takes to drain counts for none.
      const share = (STOP_TIMEOUT_MS * (turn + 1)) / this.groups.length
      this.#stopsNow = { group, quickMs: Math.round(share - spentMs) }
      const drains = this.#drainMs(group) !== undefined
      await this.#stopNextGroup()
      if (!drains) spentMs += performance.now() - startedAt
    }
  }

  async #stopNextGroup(): Promise<void> {
    if (this.#stopsNow === undefined) return
    const { group, quickMs } = this.#stopsNow
    await group.stop(this.#drainMs(group) ?? quickMs)
  }

  /** How long a group may drain in the manner of this stop; undefined for one that does not. */
  #drainMs({ drainMs }: ProcessGroup): number | undefined {
    if (drainMs === undefined || this.#manner === 'quick') return undefined
    return this.#manner === 'patient' ? Number.POSITIVE_INFINITY : drainMs
  }
}
