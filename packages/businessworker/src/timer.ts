import { setTimeout as after } from 'node:timers/promises'
import { currentClient } from '@gatewayworker/gateway-client'
import { type Log, silentLog } from '@gatewayworker/protocol'

/** Longer pauses overflow setTimeout. */
const MAX_MS = 2 ** 31 - 1

interface NumberedTimer {
  /** Undefined while the worker's timers are suspended. */
  handle: NodeJS.Timeout | undefined
  /** Made outside of a client's handler: such timers run in one process of a place at a time. */
  isWorkers: boolean
  start(): NodeJS.Timeout
}

const timers = new Map<number, NumberedTimer>()
let isSuspended = false
let lastId = 0
let onSettled: (() => void) | undefined
/** Calls of the worker's timers that have not settled. */
let runningCalls = 0
let timerLog: Log = silentLog

/** Workerman's timers: numbered, in seconds, all gone when the worker stops. */
export const Timer = {
  /**
   * Calls `fn(...args)` every `seconds` (fractions allowed), or once if not `persistent`. Returns the number to delete it by.
   * A function that throws or rejects is logged and called again. Throws a RangeError if `seconds` is no time.
   *
   * At a reload, timers that were made outside of a client's handler stop in the old process before onWorkerStart of the new one.
   */
  add<Args extends unknown[]>(
    seconds: number,
    fn: (...args: Args) => unknown,
    args: Args = [] as unknown as Args,
    persistent = true,
  ): number {
    const ms = seconds * 1_000
    if (!(ms > 0 && ms <= MAX_MS)) throw new RangeError(`a timer runs every ${seconds} seconds, which is no time`)
    lastId += 1
    const id = lastId
    const isWorkers = currentClient.getStore() === undefined
    const call = async () => {
      if (!persistent) timers.delete(id)
      if (isWorkers) runningCalls += 1
      try {
        await fn(...args)
      } catch (err) {
        timerLog.error({ timer: id, err }, 'a timer threw')
      }
      if (!isWorkers) return
      runningCalls -= 1
      if (runningCalls === 0) onSettled?.()
    }
    const start = () => (persistent ? setInterval(call, ms) : setTimeout(call, ms))
    timers.set(id, { handle: isWorkers && isSuspended ? undefined : start(), isWorkers, start })
    return id
  },

  /** Deletes a timer; false if there was none with this number. */
  del(id: number): boolean {
    clearTimeout(timers.get(id)?.handle)
    return timers.delete(id)
  },

  /** Deletes all timers. */
  delAll(): void {
    for (const { handle } of timers.values()) clearTimeout(handle)
    timers.clear()
  },
}

/**
 * Stops the timers that were made outside of a client's handler, and holds back those that are made so from now on; resolves when the
 * calls that run have settled. Rejects if they have not at the deadline.
 */
export async function suspendWorkerTimers(deadlineMs: number): Promise<void> {
  isSuspended = true
  for (const timer of timers.values()) {
    if (!timer.isWorkers) continue
    clearTimeout(timer.handle)
    timer.handle = undefined
  }
  if (runningCalls === 0) return
  const settled = new Promise<boolean>((resolve) => {
    onSettled = () => resolve(true)
  })
  const isSettled = await Promise.race([settled, after(Math.min(deadlineMs, MAX_MS), false, { ref: false })])
  onSettled = undefined
  if (!isSettled) throw new Error(`a timer's function has not settled within ${deadlineMs} ms`)
}

/** Starts those timers again. */
export function resumeWorkerTimers(): void {
  isSuspended = false
  for (const timer of timers.values()) timer.handle ??= timer.start()
}

/** Where timers that throw are reported. */
export function setTimerLog(log: Log): void {
  timerLog = log
}
