import { url as debuggerUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'
import type { Logger } from 'pino'

/** What is known of an event loop that is blocked. */
export interface BlockReport {
  /** For how long at least, in milliseconds. */
  blockedMs: number
  /** Where it is stuck: lines as in an Error's stack, in the user's own TypeScript. */
  stack: string
}

/** How a process is watched. */
export interface WatchdogOptions<Facts extends object> {
  /** What the code that runs at the moment works on, for the log and the report. */
  describe(): Facts
  /** From when on the event loop counts as blocked, in milliseconds. */
  limitMs: number
  log: Logger
  /** Called within the blocked code, as a signal handler would be; true keeps the process for another `limitMs`. */
  onBlocked(report: BlockReport & Facts): unknown
}

/** What the thread is started with. */
export interface WatchdogData {
  /** The fields of every line that it logs. */
  bindings: Record<string, unknown>
  limitMs: number
  /** Lines below this level, as pino numbers them, are not logged. */
  minLevel: number
  /** What the main thread tells at every beat: see SharedSlot. */
  shared: Int32Array
  tickMs: number
}

/** Where in the shared memory what stands. */
export const SharedSlot = {
  /** Counts up with every beat. */
  BEATS: 0,
  /** 1 while a debugger can attach itself: who stands at a breakpoint is not stuck. */
  HAS_DEBUGGER: 1,
} as const

/** The property of `globalThis` that the thread calls by way of the inspector, whose code sees nothing else. */
export const BLOCKED_HOOK = 'gatewayworker.onBlocked'

/** The name that code which the thread has the main thread run bears in stacks. */
export const INSPECTOR_SCRIPT = 'gatewayworker-watchdog'

const TICKS_PER_LIMIT = 20
/** Deeper than usual: what matters is at the far end when a library is stuck. */
const STACK_DEPTH = 50

/**
 * Watches over this process' event loop until it ends: from `limitMs` on a block is logged with the stack of where it is, and
 * after another `limitMs` the process ends with SIGKILL, for its master to start another.
 *
 * ```
 * main thread      beat  beat  beat ▓▓▓▓▓▓ stuck ▓▓▓▓▓▓▓▓ logs its stack, calls onBlocked ▓▓▓▓▓▓▓▓▓▓▓▓▓▓
 *                    │     │     │                        ▲ pause, evaluate, go on                     ▲
 * watchdog thread  tick  tick  tick  tick … no beat for limitMs … no answer, or not true, for another: SIGKILL
 * ```
 *
 * Invariants:
 * - A block shorter than `limitMs` is not reported, and only time in which the thread itself ran counts: a process that was
 *   suspended was not blocked.
 * - The inspector is attached only from a report on until it is made or the block ends, and never when a debugger may attach itself.
 * - The report runs within the blocked code, and no other code of the process does: neither promises nor timers nor I/O.
 * - Nothing that the main thread, the handler or the log's reader does, or leaves undone, keeps the thread from ending the process.
 * - Until something is stuck, the main thread does no more than to write two numbers every twentieth of `limitMs`.
 */
export function startWatchdog<Facts extends object>({
  describe,
  limitMs,
  log,
  onBlocked,
}: WatchdogOptions<Facts>): void {
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const tickMs = limitMs / TICKS_PER_LIMIT

  function beat(): void {
    Atomics.store(shared, SharedSlot.HAS_DEBUGGER, debuggerUrl() === undefined ? 0 : 1)
    Atomics.add(shared, SharedSlot.BEATS, 1)
  }

  function reportBlock(blockedMs: number, isLate: boolean): boolean {
    try {
      const msg = isLate
        ? 'the event loop was blocked outside JavaScript, and is back here'
        : 'the event loop is blocked'
      const facts = describe()
      const err = captureStack(msg, reportBlock)
      log.error({ blockedMs, ...facts, err } as object, msg)
      return onBlocked({ blockedMs, stack: err.stack!, ...facts }) === true
    } catch (err) {
      log.error({ err }, 'the handler of a blocked event loop threw')
      return false
    }
  }

  Object.defineProperty(globalThis, Symbol.for(BLOCKED_HOOK), { configurable: true, value: reportBlock })
  beat()
  setInterval(beat, tickMs).unref()
  const workerData: WatchdogData = { bindings: log.bindings(), limitMs, minLevel: log.levelVal, shared, tickMs }
  // Neither flags nor environment: what a user has preloaded into the process is not for this thread.
  const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), { env: {}, execArgv: [], workerData })
  thread.on('error', (err) => log.error({ err }, 'the watchdog failed: a blocked event loop goes unnoticed'))
  thread.unref()
}

/** An error with the stack below `hook`, which the inspector has called. */
function captureStack(message: string, hook: (...args: never[]) => unknown): Error {
  const usualDepth = Error.stackTraceLimit
  Error.stackTraceLimit = STACK_DEPTH
  try {
    const error = new Error(message)
    Error.captureStackTrace(error, hook)
    error.stack = error.stack!.replace(new RegExp(`\\n.*\\b${INSPECTOR_SCRIPT}:.*`), '')
    return error
  } finally {
    Error.stackTraceLimit = usualDepth
  }
}
