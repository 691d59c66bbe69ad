import { constants } from 'node:os'
import type { RunningCluster } from './running-cluster.ts'
import { isTerminalGone } from './terminal.ts'

/** Ctrl-C under npm arrives twice, from the terminal and from npm; only a later one is meant as a second. */
const SECOND_SIGNAL_AFTER_MS = 300

/**
 * What signals mean to a master: SIGINT (Ctrl-C) is a quick stop, SIGTERM a graceful one, a second one of these the end of all;
 * SIGUSR1 reloads, SIGUSR2 opens the log file again, and SIGHUP does both, or stops when it says that the terminal is gone.
 */
export function handleSignals(cluster: RunningCluster): void {
  let firstAt: number | undefined

  async function stop(signal: 'SIGHUP' | 'SIGINT' | 'SIGTERM'): Promise<void> {
    if (firstAt !== undefined) {
      if (performance.now() - firstAt < SECOND_SIGNAL_AFTER_MS) return
      cluster.kill(128 + constants.signals[signal])
    }
    firstAt = performance.now()
    await cluster.stop(signal === 'SIGTERM' ? 'graceful' : 'quick')
    await cluster.exit(0)
  }

  function reload(): void {
    // Both outcomes are logged.
    cluster.reload(() => {}).catch(() => {})
  }

  function onHangUp(): void {
    if (isTerminalGone()) {
      void stop('SIGHUP')
      return
    }
    cluster.reopenLog()
    reload()
  }

  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  process.on('SIGHUP', onHangUp)
  process.on('SIGUSR1', reload)
  process.on('SIGUSR2', () => cluster.reopenLog())
}
