import { constants } from 'node:os'
import type { Logger } from 'pino'
import { createAppKind } from './app-process.ts'
import { createLog, logIsForPeople } from './create-log.ts'
import type { App, OptionTable, OptionValues } from './define-app.ts'
import { Master } from './master.ts'
import { ProcessGroup } from './process-group.ts'
import { formatProcessTable } from './process-table.ts'
import { createScriptKind } from './script-process.ts'
import { StartError } from './start-error.ts'
import { UsageError } from './usage-error.ts'

/** Ctrl-C under npm arrives twice, from the terminal and from npm; only a later one is meant as a second. */
const SECOND_SIGNAL_AFTER_MS = 300

/** A group of processes that run an app; its options `name` and `count`, if it has them, say how many and under which name. */
export interface AppMember<Table extends OptionTable = OptionTable> {
  app: App<Table>
  /** For error messages: what the app's options are called in this program, such as `{ '--listen': '--register-address' }`. */
  optionNames?: Readonly<Record<string, string>>
  options: OptionValues<Table>
}

/** A process that runs a plain Node program; see createScriptKind for what is asked of it. */
export interface ScriptMember {
  args?: string[]
  /** What it listens on, for the table. */
  listen?: string
  name: string
  /** Absolute path of the program. */
  script: string
}

/** What a cluster shows of itself. */
export interface ClusterSettings {
  logLevel?: string
  /** An address to open, shown when all is ready. */
  openUrl?: string
}

/**
 * Runs groups of processes under this one until it is told to stop, and then ends this process: see the package's README for
 * exit codes. All start together; they stop in the reverse order, each group when the one before is gone.
 */
export async function runCluster(
  members: readonly (AppMember | ScriptMember)[],
  { logLevel = 'info', openUrl }: ClusterSettings = {},
): Promise<void> {
  checkSharedListen(members)
  process.title = 'gatewayworker: master'
  const processesLog = await createLog(logLevel)
  const log = processesLog.child({ process: 'master' })
  const master = new Master(members.map((member) => createGroup(member, logLevel, processesLog)))
  stopOnSignals(master, log)
  try {
    await master.start()
    showReady(master, log, openUrl)
  } catch (error) {
    logStartError(processesLog, error)
    await master.stop()
    process.exit(1)
  }
}

function createGroup(member: AppMember | ScriptMember, logLevel: string, log: Logger): ProcessGroup {
  if ('script' in member) {
    const { name } = member
    return new ProcessGroup(name, 1, createScriptKind({ ...member, log: log.child({ process: name, index: 0 }) }), log)
  }
  const { count, name } = groupOptions(member)
  return new ProcessGroup(name, count, createAppKind({ ...member, count, logLevel, name }), log)
}

function groupOptions({ app, options }: AppMember): { count: number; name: string } {
  const { count, name } = options as { count?: number; name?: string }
  return { count: count ?? 1, name: name ?? app.name }
}

/** Two groups that share a port would not fail to listen: each would get connections that are meant for the other. */
function checkSharedListen(members: readonly (AppMember | ScriptMember)[]): void {
  const names = new Map<string, string>()
  for (const member of members) {
    if ('script' in member || member.app.sharedListen === undefined) continue
    const listen = member.app.sharedListen(member.options)
    const { name } = groupOptions(member)
    const other = names.get(listen)
    if (other !== undefined) throw new UsageError(`${other} and ${name} cannot both listen on ${listen}`)
    names.set(listen, name)
  }
}

function stopOnSignals(master: Master, log: Logger): void {
  let firstAt: number | undefined
  async function onSignal(signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
    if (firstAt !== undefined) {
      if (performance.now() - firstAt < SECOND_SIGNAL_AFTER_MS) return
      master.kill()
      process.exit(128 + constants.signals[signal])
    }
    firstAt = performance.now()
    log.info({ signal }, 'stopping')
    await master.stop()
    log.info({}, 'stopped')
    process.exit(0)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}

function showReady(master: Master, log: Logger, openUrl: string | undefined): void {
  if (!logIsForPeople) {
    log.info({ groups: master.summary(), openUrl }, 'all ready')
    return
  }
  const hint = openUrl === undefined ? 'Press Ctrl-C to stop' : `Open ${openUrl}  (Ctrl-C to stop)`
  process.stdout.write(`${formatProcessTable(master.summary())}\n${hint}\n`)
}

function logStartError(log: Logger, error: unknown): void {
  if (!(error instanceof StartError)) throw error
  const { index, message, process: name, stack } = error
  log.child({ process: name, index }).fatal({}, stack ?? message)
}
