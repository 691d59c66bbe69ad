import { type ClusterMember, createGroups } from './cluster-members.ts'
import type { DigestedConfig } from './config-digest.ts'
import type { RunFolder } from './control/run-folder.ts'
import { createLog, logIsForPeople } from './create-log.ts'
import { handleSignals } from './handle-signals.ts'
import type { LogFile } from './log-file.ts'
import { Master } from './master.ts'
import type { GroupSummary } from './process-group.ts'
import { describeStart } from './process-table.ts'
import { RunningCluster } from './running-cluster.ts'
import { tellServiceManager } from './service-manager.ts'
import { reportDropped, standardOutputs } from './standard-output.ts'
import { StartError } from './start-error.ts'
import { inWords, whenLinked } from './status/find-problems.ts'

/** For processes to be linked; one that needs longer goes on trying. */
const READY_TIMEOUT_MS = 10_000

/** What a cluster shows of itself when all is ready. */
export interface ReadySummary {
  groups: GroupSummary[]
  /** An address to open. */
  openUrl?: string
  /** What is odd about options or code, with the names of groups. */
  warnings: string[]
}

/** How far the processes of a cluster are linked with each other. */
export interface LinkSummary {
  /** Why not, in words; none if all are. */
  problems: string[]
  /** Names of the groups that it is about. */
  unlinked: string[]
}

/** How a cluster runs. */
export interface ClusterSettings {
  /** The config file of the start: commands find the cluster by it. */
  config?: DigestedConfig
  /** Where the log goes, if not to the standard output. */
  logFile?: LogFile
  logLevel?: string
  /** Called when all processes are linked, or not in time. */
  onLinked?: (links: LinkSummary) => void
  /** Called when all is ready. */
  onReady?: (summary: ReadySummary) => void
  /** Called with what a user is told when a process did not start, which ends all. */
  onStartFailed?: (message: string) => void
  /** An address to open, shown when all is ready. */
  openUrl?: string
  /** How long after that processes may take to be linked until it is said which are not. Default 10 000. */
  readyTimeoutMs?: number
  /** Where the control socket is; without one, only signals tell the cluster what to do. */
  runFolder?: RunFolder
}

/**
 * Runs groups of processes under this one until it is told to stop, and then ends this process: see the package's README for
 * exit codes. All start together; they stop in the reverse order, each group when the one before is gone. A UsageError, or a
 * ClusterError that names the master that runs already, when it cannot even begin.
 */
export async function runCluster(members: readonly ClusterMember[], settings: ClusterSettings = {}): Promise<void> {
  const { config, logFile, logLevel = 'info', onStartFailed, openUrl, runFolder } = settings
  process.title = 'gatewayworker: master'
  const processesLog = await createLog(logLevel, logFile)
  const log = processesLog.child({ process: 'master' })
  const outputs = Object.values(standardOutputs())
  for (const output of logFile === undefined ? outputs : [...outputs, logFile]) reportDropped(output, log)
  const master = new Master(createGroups(members, { log: processesLog, logFile, logLevel, runFolder }))
  const cluster = new RunningCluster(master, log, logFile, config)
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
  const summary = { groups: master.summary(), openUrl, warnings: master.warnings() }
  if (!logIsForPeople) log.info({ groups: summary.groups, openUrl }, 'all ready')
  tellServiceManager('READY=1', log)
  settings.onReady?.(summary)
  const links = await findLinks(master, settings.readyTimeoutMs)
  if (master.isStopping) return
  if (logIsForPeople) process.stdout.write(`${describeStart(summary, links, 'Press Ctrl-C to stop')}\n`)
  else if (links.problems.length > 0) log.warn({ problems: links.problems }, 'not every process is linked')
  settings.onLinked?.(links)
}

async function findLinks(master: Master, timeoutMs = READY_TIMEOUT_MS): Promise<LinkSummary> {
  const problems = await whenLinked(master, timeoutMs)
  const unlinked = [...problems].filter(([, words]) => words.length > 0).map(([{ name }]) => name)
  return { problems: inWords(problems), unlinked: [...new Set(unlinked)] }
}
