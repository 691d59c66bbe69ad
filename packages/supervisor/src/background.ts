import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { ClusterError } from './control/cluster-error.ts'
import type { ReadySummary } from './run-cluster.ts'
import { UsageError } from './usage-error.ts'

/** Set for the process in the background only, so that it knows what it is. */
const MARK = 'GATEWAYWORKER_IN_BACKGROUND'

/** A start that takes longer than this is mentioned, so that nobody wonders. */
const SLOW_START_MS = 10_000

/** What the process in the background tells the one that started it, once. */
type Outcome = { type: 'failed'; message: string } | { type: 'ready'; summary: ReadySummary }

/** Whether this process is the one in the background. */
export const isInBackground = process.env[MARK] === '1'
// Its children are not.
delete process.env[MARK]

/**
 * Starts this very program, with the arguments that it has, once more in the background: in a session of its own, what it writes
 * going to the log file. Resolves with its pid when all is ready, and rejects with a ClusterError when it does not start.
 */
export async function startInBackground(logFile: string): Promise<{ pid: number; summary: ReadySummary }> {
  const log = openLog(logFile)
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [MARK]: '1' },
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const abort = () => child.kill('SIGTERM')
  process.once('SIGINT', abort).once('SIGTERM', abort)
  const slowStart = setTimeout(() => process.stderr.write(`still starting; the log is ${logFile}\n`), SLOW_START_MS)
  const exited = once(child, 'exit').then(([code, signal]): Outcome => {
    return { type: 'failed', message: `ended with ${signal ?? `code ${code}`} before all was ready; see ${logFile}` }
  })
  const told = once(child, 'message').then(([outcome]) => outcome as Outcome)
  const outcome = await Promise.race([told, exited])
  clearTimeout(slowStart)
  process.off('SIGINT', abort).off('SIGTERM', abort)
  if (outcome.type === 'failed') {
    await exited
    throw new ClusterError(outcome.message)
  }
  if (child.connected) child.disconnect()
  child.unref()
  return { pid: child.pid!, summary: outcome.summary }
}

/** Tells the process that started this one in the background that all is ready, which lets it end. */
export function tellReady(summary: ReadySummary): void {
  tell({ type: 'ready', summary })
}

/** Tells it why this one does not start. */
export function tellFailed(message: string): void {
  tell({ type: 'failed', message })
}

function tell(outcome: Outcome): void {
  if (process.connected) process.send!(outcome, undefined, undefined, () => {})
}

function openLog(file: string): number {
  try {
    return openSync(file, 'a', 0o600)
  } catch (error) {
    throw new UsageError(`the log file cannot be written: ${(error as Error).message}`)
  }
}
