import { isInBackground, startInBackground, tellFailed, tellLinked, tellReady } from '../background.ts'
import type { Program } from '../command-line.ts'
import { digestConfigFile } from '../config-digest.ts'
import { alreadyRunning } from '../control/already-running.ts'
import { type ClusterPlace, findMaster } from '../control/find-master.ts'
import { RunFolder } from '../control/run-folder.ts'
import type { OptionTable, OptionValues } from '../define-app.ts'
import { LogFile } from '../log-file.ts'
import { flag, path, seconds } from '../option-types.ts'
import { describeStart } from '../process-table.ts'
import { readOptions } from '../read-options.ts'
import { runCluster } from '../run-cluster.ts'
import { UsageError } from '../usage-error.ts'
import type { Call, ClusterDefinition } from './cluster-program.ts'
import { NOT_LINKED_EXIT_CODE } from './exit-codes.ts'
import { findConfig } from './find-config.ts'

/** Where a cluster that starts keeps what it writes. */
export const placeOptions = {
  'log-file': { describe: 'The log of a start in the background, if not in the run folder', type: path },
  'run-dir': { describe: 'Folder of the control socket and the pid file, for this user alone', type: path },
} satisfies OptionTable

const startOptions = {
  daemon: {
    alias: 'd',
    default: false,
    describe: 'Start in the background, and end when all is ready and linked',
    flagOnly: true,
    type: flag,
  },
  'ready-timeout': {
    default: 10,
    describe: 'How long processes may take to be linked until the start says which are not; they keep trying',
    flagOnly: true,
    type: seconds,
  },
  ...placeOptions,
} satisfies OptionTable

/** A start about to happen: its options and those of all groups are read. */
export interface PreparedStart<Table extends OptionTable> {
  /** Starts the cluster: in the foreground this process is its master until it ends; otherwise resolves when all is ready. */
  run(): Promise<void>
  place: ClusterPlace
  values: OptionValues<Table>
}

/** Starts the cluster. */
export async function start(call: Call): Promise<void> {
  const prepared = await prepareStart(call, 'start', {})
  await prepared?.run()
}

/** Reads the options of a start, and `more` that another command adds to them; undefined when it has shown them for --help. */
export async function prepareStart<Table extends OptionTable>(
  call: Call,
  command: string,
  more: Table,
): Promise<PreparedStart<Table> | undefined> {
  const configFile = findConfig(call)
  const definition = call.program.define(configFile)
  const read = await readOptions(describeProgram(call, command, definition, more, configFile), call)
  if ('help' in read) {
    process.stdout.write(`${read.help}\n`)
    return undefined
  }
  const { members, openUrl } = definition.load(read)
  const values = read.values as OptionValues<typeof startOptions> & OptionValues<Table>
  const runFolder = new RunFolder(values['run-dir'] ?? definition.runFolder)
  const place = { configFile: values['run-dir'] === undefined ? configFile : undefined, runFolder }
  const settings = {
    config: configFile === undefined ? undefined : await digestConfigFile(configFile, definition.provide),
    logLevel: read.common['log-level'],
    openUrl,
    readyTimeoutMs: values['ready-timeout'] * 1000,
    runFolder,
  }
  const logPath = values['log-file'] ?? runFolder.logFile

  async function run(): Promise<void> {
    if (!isInBackground) await refuseOther(place)
    if (isInBackground) {
      const told = { onLinked: tellLinked, onReady: tellReady, onStartFailed: tellFailed }
      await runCluster(members, { ...settings, ...told, logFile: new LogFile(logPath) })
    } else if (values.daemon) await startDaemon(runFolder, logPath, values['ready-timeout'])
    else await runCluster(members, settings)
  }
  return { place, run, values }
}

function describeProgram(
  { program }: Call,
  command: string,
  { describe, options, provide, sections }: ClusterDefinition,
  more: OptionTable,
  configFile: string | undefined,
): Program {
  return {
    command: `${program.command} ${command}`,
    configFile,
    describe,
    npmScript: program.npmScript,
    options: { ...startOptions, ...more, ...options },
    provide,
    sections,
    usage: `${program.command} ${command} [options]`,
  }
}

/** The master would find out, too, but only with this very run folder, and after it has loaded everything. */
async function refuseOther(place: ClusterPlace): Promise<void> {
  const other = await findMaster(place)
  other?.close()
  if (other !== undefined) throw alreadyRunning(other.pid)
}

async function startDaemon(runFolder: RunFolder, logPath: string, readyTimeoutS: number): Promise<void> {
  if (process.platform === 'win32')
    throw new UsageError('Windows has no daemons: start without --daemon, or as a service')
  runFolder.create()
  const { links, pid, summary } = await startInBackground(logPath, readyTimeoutS)
  const lastLine = `Runs in the background, pid ${pid}; the log is ${logPath}`
  process.stdout.write(`${describeStart(summary, links, lastLine)}\n`)
  if (links.problems.length > 0) process.exitCode = NOT_LINKED_EXIT_CODE
}
