/** The first pause before a process that ended is started again. */
const FIRST_PAUSE_MS = 100

/** Pauses double up to this one: gateways hold clients without a worker for 5 s (--no-worker-timeout), and a start takes its time, too. */
const LONGEST_PAUSE_MS = 3_000

/** A process that lived this long is taken to be sound: its next pause is the first one again. */
const SETTLED_MS = 10_000

/** How long to wait before a process is started again, from the pause before (0 for none yet) and how long it lived. */
export function nextRestartPauseMs(previousPauseMs: number, uptimeMs: number): number {
  if (previousPauseMs === 0 || uptimeMs >= SETTLED_MS) return FIRST_PAUSE_MS
  return Math.min(previousPauseMs * 2, LONGEST_PAUSE_MS)
}
