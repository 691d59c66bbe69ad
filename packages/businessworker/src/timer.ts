import { type Log, silentLog } from '@gatewayworker/protocol'

/** Longer pauses overflow setTimeout. */
const MAX_MS = 2 ** 31 - 1

const timers = new Map<number, NodeJS.Timeout>()
let lastId = 0
let timerLog: Log = silentLog

/** Workerman's timers: numbered, in seconds, all gone when the worker stops. */
export const Timer = {
  /**
   * Calls `fn(...args)` every `seconds` (fractions allowed), or once if not `persistent`. Returns the number to delete it by.
   * A function that throws or rejects is logged and called again. Throws a RangeError if `seconds` is no time.
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
    const call = async () => {
      if (!persistent) timers.delete(id)
      try {
        await fn(...args)
      } catch (err) {
        timerLog.error({ timer: id, err }, 'a timer threw')
      }
    }
    timers.set(id, persistent ? setInterval(call, ms) : setTimeout(call, ms))
    return id
  },

  /** Deletes a timer; false if there was none with this number. */
  del(id: number): boolean {
    clearTimeout(timers.get(id))
    return timers.delete(id)
  },

  /** Deletes all timers. */
  delAll(): void {
    for (const timer of timers.values()) clearTimeout(timer)
    timers.clear()
  },
}

/** Where timers that throw are reported. */
export function setTimerLog(log: Log): void {
  timerLog = log
}
