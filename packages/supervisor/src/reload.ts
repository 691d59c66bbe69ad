import type { ProcessGroup } from './process-group.ts'
import type { Successor, SupervisedProcess } from './supervised-process.ts'

/** How long a new process may take to get ready before it is given up, and the reload with it. */
const READY_TIMEOUT_MS = 60_000

/** For a process without a time of its own to drain. */
const STOP_TIMEOUT_MS = 2500

/** Tells whoever asked what happens, one sentence at a time. */
export type Report = (text: string) => void

/**
 * Replaces the processes of reloadable groups one by one, each when its successor is ready; resolves with their number. First of
 * all, one successor of each group has to get ready: where users' code does not start, nothing is replaced. A StartError ends
 * the reload, and those that are not replaced yet go on.
 */
export async function reloadGroups(groups: readonly ProcessGroup[], report: Report): Promise<number> {
  const reloadable = groups.filter((group) => group.reloadable)
  const first = await startFirstSuccessors(reloadable)
  let replaced = 0
  for (const [at, group] of reloadable.entries()) {
    const drainMs = group.drainMs ?? STOP_TIMEOUT_MS
    for (const process of group.processes) {
      const successor = process.index === 0 ? first[at]! : await startSuccessor(process)
      await successor.takeOver(drainMs)
      replaced += 1
      report(`${process.name} #${process.index}: replaced`)
    }
  }
  return replaced
}

function startSuccessor(process: SupervisedProcess): Promise<Successor> {
  return process.startSuccessor(READY_TIMEOUT_MS)
}

async function startFirstSuccessors(groups: readonly ProcessGroup[]): Promise<Successor[]> {
  const starts = await Promise.allSettled(groups.map((group) => startSuccessor(group.processes[0]!)))
  const failed = starts.find((start) => start.status === 'rejected')
  const successors = starts.filter((start) => start.status === 'fulfilled').map(({ value }) => value)
  if (failed === undefined) return successors
  await Promise.all(successors.map((successor) => successor.abandon(STOP_TIMEOUT_MS)))
  throw failed.reason
}
