import { type ClusterMember, createGroups } from './cluster-members.ts'
import type { RunFolder } from './control/run-folder.ts'
import { createLog, logIsForPeople } from './create-log.ts'
import { handleSignals } from './handle-signals.ts'
import type { LogFile } from './log-file.ts'
import { Master } from './master.ts'
import type { GroupSummary } from './process-group.ts'
import { formatProcessTable } from './process-table.ts'
import { RunningCluster } from './running-cluster.ts'
import { tellServiceManager } from './service-manager.ts'
import { StartError } from './start-error.ts'

/** What a cluster shows of itself when all is ready. */
export interface ReadySummary {
  groups: GroupSummary[]
  /** An address to open. */
  openUrl?: string
}

/** How a cluster runs. */
export interface ClusterSettings {
  /** Where the log goes, if not to the standard output. */
  logFile?: LogFile
  logLevel?: string
  /** Called when all is ready. */
  onReady?: (summary: ReadySummary) => void
  /** Called with what a user is told when a process did not start, which ends all. */
  onStartFailed?: (message: string) => void
  /** An address to open, shown when all is ready. */
  openUrl?: string
  /** Where the control socket is; without one, only signals tell the cluster what to do. */
  runFolder?: RunFolder
}

/**
 * Runs groups of processes under this one until it is told to stop, and then ends this process: see the package's README for
 * exit codes. All start together; they stop in the reverse order, each group when the one before is gone. A UsageError, or a
 * ClusterError that names the master that runs already, when it cannot even begin.
 */
export async function runCluster(
  members: readonly ClusterMember[],
  { logFile, logLevel = 'info', onReady, onStartFailed, openUrl, runFolder }: ClusterSettings = {},
): Promise<void> {
  process.title = 'gatewayworker: master'
  const processesLog = await createLog(logLevel, logFile)
  const log = processesLog.child({ process: 'master' })
  const master = new Master(createGroups(members, { log: processesLog, logFile, logLevel, runFolder }))
  const cluster = new RunningCluster(master, log, logFile)
  handleSignals(cluster)
  if (runFolder !== undefined) await cluster.listen(runFolder)
  try {
    await master.start()
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    const { index, message, process: name, stack } = error
    processesLog.child({ process: name, index }).fatal({}, stack ?? message)
    onStartFailed?.(error.describe())
    await master.stop('quick')
    await cluster.exit(1)
  }
  const summary = { groups: master.summary(), openUrl }
  if (logIsForPeople) showReady(summary)
  else log.info(summary, 'all ready')
  tellServiceManager('READY=1', log)
  onReady?.(summary)
}

function showReady({ groups, openUrl }: ReadySummary): void {
  const hint = openUrl === undefined ? 'Press Ctrl-C to stop' : `Open ${openUrl}  (Ctrl-C to stop)`
  process.stdout.write(`${formatProcessTable(groups)}\n${hint}\n`)
}
