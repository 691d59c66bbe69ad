import type { ProcessGroup } from './process-group.ts'
import type { Successor, SupervisedProcess } from './supervised-process.ts'

/** How long a new process may take to load, and then to get ready, before it is given up, and the reload with it. */
const READY_TIMEOUT_MS = 60_000

/** For a process without a time of its own to drain. */
const STOP_TIMEOUT_MS = 2500

/** Tells whoever asked what happens, one sentence at a time. */
export type Report = (text: string) => void

/** What a reload has done. */
export interface Reloaded {
  /** How many processes. */
  replaced: number
  /** What is odd about the new code, with the names of groups. */
  warnings: string[]
}

/**
 * Replaces the processes of reloadable groups one by one, each when its successor is ready. First of all, one successor of each group has to
 * get ready: where users' code does not start, nothing is replaced. A StartError ends the reload, and those that are not replaced yet go on.
 */
export async function reloadGroups(groups: readonly ProcessGroup[], report: Report): Promise<Reloaded> {
  const reloadable = groups.filter((group) => group.reloadable)
  const first = await startFirstSuccessors(reloadable)
  const warnings = new Set<string>()
  let replaced = 0
  try {
    for (const group of reloadable) {
      for (const process of group.processes) {
        const successor = first.get(group) ?? (await startSuccessor(process, group))
        first.delete(group)
        for (const warning of successor.warnings) warnings.add(`${group.name}: ${warning}`)
        await successor.takeOver(drainMsOf(group))
        replaced += 1
        report(`${process.name} #${process.index}: replaced`)
      }
    }
  } finally {
    await abandon(first)
  }
  return { replaced, warnings: [...warnings] }
}

async function startSuccessor(process: SupervisedProcess, group: ProcessGroup): Promise<Successor> {
  const successor = await process.loadSuccessor(READY_TIMEOUT_MS)
  await successor.begin(handOverMsOf(group))
  return successor
}

/** All are loaded before the first of them begins, and begin one after the other, so that clients are served by other groups meanwhile. */
async function startFirstSuccessors(groups: readonly ProcessGroup[]): Promise<Map<ProcessGroup, Successor>> {
  const first = new Map<ProcessGroup, Successor>()
  const loads = groups.map(async (group) => {
    first.set(group, await group.processes[0]!.loadSuccessor(READY_TIMEOUT_MS))
  })
  const failed = (await Promise.allSettled(loads)).find((load) => load.status === 'rejected')
  try {
    if (failed !== undefined) throw failed.reason
    for (const group of groups) await first.get(group)!.begin(handOverMsOf(group))
    return first
  } catch (error) {
    await abandon(first)
    throw error
  }
}

async function abandon(successors: ReadonlyMap<ProcessGroup, Successor>): Promise<void> {
  await Promise.all(Array.from(successors, ([group, successor]) => successor.abandon(drainMsOf(group))))
}

/** One that has no time to drain needs some to let go: it is killed otherwise, and cannot take its place back. */
function handOverMsOf(group: ProcessGroup): number {
  return Math.max(drainMsOf(group), STOP_TIMEOUT_MS)
}

function drainMsOf({ drainMs = STOP_TIMEOUT_MS }: ProcessGroup): number {
  return drainMs
}
