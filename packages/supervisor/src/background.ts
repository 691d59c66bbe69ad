import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { ClusterError } from './control/cluster-error.ts'
import { openLog } from './log-file.ts'
import type { LinkSummary, ReadySummary } from './run-cluster.ts'
import { UsageError } from './usage-error.ts'

/** Set for the process in the background only, so that it knows what it is. */
const MARK = 'GATEWAYWORKER_IN_BACKGROUND'

/** A start that takes longer than this is mentioned, so that nobody wonders. */
const SLOW_START_MS = 10_000

/** As is one whose processes take longer than this to be linked. */
const SLOW_LINKS_MS = 3000

/** What the process in the background tells the one that started it: that it failed, or first that all is ready and then who is linked. */
type Outcome =
  | { type: 'failed'; message: string }
  | { type: 'ready'; summary: ReadySummary }
  | { type: 'linked'; links: LinkSummary }

/** A start in the background that has succeeded. */
interface BackgroundStart {
  links: LinkSummary
  pid: number
  summary: ReadySummary
}

/** Whether this process is the one in the background. */
export const isInBackground = process.env[MARK] === '1'
// Its children are not.
delete process.env[MARK]

/**
 * Starts this very program, with the arguments that it has, once more in the background: in a session of its own, what it writes
 * going to the log file. Resolves when all is ready, and linked or not linked in time; rejects with a ClusterError when it does not start.
 */
export async function startInBackground(logFile: string, readyTimeoutS: number): Promise<BackgroundStart> {
  const log = openLogFor(logFile)
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [MARK]: '1' },
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const abort = () => child.kill('SIGTERM')
  process.once('SIGINT', abort).once('SIGTERM', abort)
  let slow = sayAfter(SLOW_START_MS, `still starting; the log is ${logFile}`)
  const failed = whenFailed(child, logFile)
  const links = whenTold(child, 'linked')
  try {
    const { summary } = await Promise.race([whenTold(child, 'ready'), failed])
    clearTimeout(slow)
    // It runs: whoever does not wait for the rest does not end it.
    process.off('SIGINT', abort).off('SIGTERM', abort)
    slow = sayAfter(SLOW_LINKS_MS, `all is ready; waiting up to ${readyTimeoutS} s for processes to be linked`)
    return { ...(await Promise.race([links, failed])), pid: child.pid!, summary }
  } finally {
    clearTimeout(slow)
    process.off('SIGINT', abort).off('SIGTERM', abort)
    if (child.connected) child.disconnect()
    child.unref()
  }
}

function sayAfter(ms: number, text: string): NodeJS.Timeout {
  return setTimeout(() => process.stderr.write(`${text}\n`), ms)
}

function whenTold<T extends Outcome['type']>(child: ChildProcess, type: T): Promise<Extract<Outcome, { type: T }>> {
  return new Promise((resolve) => {
    child.on('message', (outcome: Outcome) => {
      if (outcome.type === type) resolve(outcome as Extract<Outcome, { type: T }>)
    })
  })
}

/** Rejects when it has ended, or says why it is about to. */
async function whenFailed(child: ChildProcess, logFile: string): Promise<never> {
  const exited = once(child, 'exit')
  const message = await Promise.race([
    whenTold(child, 'failed').then((outcome) => outcome.message),
    exited.then(([code, signal]) => `ended with ${signal ?? `code ${code}`} before all was ready; see ${logFile}`),
  ])
  await exited
  throw new ClusterError(message)
}

/** Tells the process that started this one in the background that all is ready. */
export function tellReady(summary: ReadySummary): void {
  tell({ type: 'ready', summary })
}

/** Tells it who is linked, which lets it end. */
export function tellLinked(links: LinkSummary): void {
  tell({ type: 'linked', links })
}

/** Tells it why this one does not start. */
export function tellFailed(message: string): void {
  tell({ type: 'failed', message })
}

function tell(outcome: Outcome): void {
  if (process.connected) process.send!(outcome, undefined, undefined, () => {})
}

function openLogFor(file: string): number {
  try {
    return openLog(file)
  } catch (error) {
    throw new UsageError(`the log file cannot be written: ${(error as Error).message}`)
  }
}
