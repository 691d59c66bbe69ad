import type { Logger } from 'pino'
import { createAppKind } from './app-process.ts'
import type { RunFolder } from './control/run-folder.ts'
import type { App, OptionTable, OptionValues } from './define-app.ts'
import type { LogFile } from './log-file.ts'
import { type GroupSettings, ProcessGroup } from './process-group.ts'
import type { ProcessKind } from './process-run.ts'
import { createScriptKind } from './script-process.ts'
import { UsageError } from './usage-error.ts'

/** A group of processes that run an app; its options `name`, `count` and `stop-timeout`, if it has them, are the group's. */
export interface AppMember<Table extends OptionTable = OptionTable> {
  app: App<Table>
  /** The group's name, where the app has no option for it and its own will not do. */
  name?: string
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

export type ClusterMember = AppMember | ScriptMember

/** What all groups of a cluster share. */
interface Surroundings {
  log: Logger
  logFile: LogFile | undefined
  logLevel: string
  runFolder: RunFolder | undefined
}

/** The groups of a cluster, in the order of its members; a UsageError when two of them cannot be in one cluster. */
export function createGroups(members: readonly ClusterMember[], surroundings: Surroundings): ProcessGroup[] {
  checkNames(members)
  checkSharedListen(members)
  const children = new Set<number>()
  return members.map((member) => {
    const settings = groupSettings(member)
    const kind = createKind(member, settings, surroundings)
    const { runFolder } = surroundings
    return new ProcessGroup(
      settings,
      runFolder === undefined ? kind : recordChildren(kind, children, runFolder),
      surroundings.log,
    )
  })
}

/** What a group is called and how many processes it has. */
export function groupSettings(member: ClusterMember): GroupSettings {
  if ('script' in member) return { count: 1, name: member.name }
  const { app, name, options } = member
  const own = options as { count?: number; name?: string; 'stop-timeout'?: number }
  const drainMs = own['stop-timeout'] === undefined ? undefined : own['stop-timeout'] * 1000
  return { count: own.count ?? 1, drainMs, name: name ?? own.name ?? app.name, reloadable: app.reloadable }
}

function createKind(
  member: ClusterMember,
  { count, name }: GroupSettings,
  { log, logFile, logLevel }: Surroundings,
): ProcessKind {
  if ('script' in member) return createScriptKind({ ...member, log: log.child({ process: name, index: 0 }) })
  return createAppKind({ ...member, count, logFile, logLevel, name })
}

/** Processes whose ids are in the run folder as long as they live. */
function recordChildren(kind: ProcessKind, children: Set<number>, runFolder: RunFolder): ProcessKind {
  return {
    ...kind,
    fork() {
      const child = kind.fork()
      const { pid } = child
      if (pid === undefined) return child
      runFolder.writeChildren(children.add(pid))
      child.once('exit', () => {
        children.delete(pid)
        runFolder.writeChildren(children)
      })
      return child
    },
  }
}

/** Logs, tables and gateways tell groups by their names. */
export function checkNames(members: readonly ClusterMember[]): void {
  const names = members.map((member) => groupSettings(member).name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new UsageError(`two groups are called ${twice}: give one of them another name`)
}

/** Two groups that share a port would not fail to listen: each would get connections that are meant for the other. */
function checkSharedListen(members: readonly ClusterMember[]): void {
  const names = new Map<string, string>()
  for (const member of members) {
    if ('script' in member || member.app.sharedListen === undefined) continue
    const listen = member.app.sharedListen(member.options)
    const { name } = groupSettings(member)
    const other = names.get(listen)
    if (other !== undefined) throw new UsageError(`${other} and ${name} cannot both listen on ${listen}`)
    names.set(listen, name)
  }
}
