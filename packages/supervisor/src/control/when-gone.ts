import { setTimeout as sleep } from 'node:timers/promises'

/** The end of a process that is nobody's child here cannot be waited for, only looked for. */
const POLL_MS = 20

/** Resolves when no process has any of these ids, or with those that are left at the deadline. */
export async function whenGone(pids: readonly number[], timeoutMs: number): Promise<number[]> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const left = pids.filter(isRunning)
    if (left.length === 0 || performance.now() >= deadline) return left
    await sleep(POLL_MS)
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
