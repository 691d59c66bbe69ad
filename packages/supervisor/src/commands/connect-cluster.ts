import { dirname } from 'node:path'
import type { Program } from '../command-line.ts'
import { readConfigFile } from '../config-file.ts'
import { ClusterError } from '../control/cluster-error.ts'
import type { ControlClient } from '../control/control-client.ts'
import { describeNotRunning, findMaster } from '../control/find-master.ts'
import { RunFolder } from '../control/run-folder.ts'
import type { OptionTable, OptionValues } from '../define-app.ts'
import { parseGivenOption } from '../given-option.ts'
import { path } from '../option-types.ts'
import { readFlags } from '../read-options.ts'
import type { Call } from './cluster-program.ts'
import { NOT_RUNNING_EXIT_CODE } from './exit-codes.ts'
import { findConfig } from './find-config.ts'

const options = {
  config: { describe: "The cluster's config file", type: path },
  'run-dir': { describe: "The cluster's run folder, if not the one that goes with the config file", type: path },
} satisfies OptionTable

/** How to reach a running cluster, and the values of a command's own options. */
export interface ClusterCall<Table extends OptionTable> {
  /** Undefined when it does not run. */
  connect(): Promise<ControlClient | undefined>
  values: OptionValues<Table>
}

/** Reads the options of a command for a running cluster, its own and those that say which one; undefined when it has shown them for --help. */
export async function readClusterCall<Table extends OptionTable>(
  call: Call,
  command: string,
  describe: string,
  own: Table,
): Promise<ClusterCall<Table> | undefined> {
  const { program } = call
  const name = `${program.command} ${command}`
  const readable: Program = {
    command: name,
    describe,
    epilogue: 'GW_CONFIG and GW_RUN_DIR in the environment are --config and --run-dir; a flag wins over them.',
    npmScript: program.npmScript,
    options: { ...own, ...options },
    usage: `${name} [options]`,
  }
  const read = await readFlags(readable, call)
  if ('help' in read) {
    process.stdout.write(`${read.help}\n`)
    return undefined
  }
  const values = read.values as OptionValues<Table> & OptionValues<typeof options>
  return { connect: () => connect(call, values['run-dir']), values }
}

/** The connection to a cluster that has to run. */
export async function connectRunning({ connect }: Pick<ClusterCall<OptionTable>, 'connect'>): Promise<ControlClient> {
  const client = await connect()
  if (client === undefined) throw new ClusterError(await describeNotRunning(), NOT_RUNNING_EXIT_CODE)
  return client
}

async function connect(call: Call, runDir: string | undefined): Promise<ControlClient | undefined> {
  if (runDir !== undefined) return findMaster({ runFolder: new RunFolder(runDir) })
  const configFile = findConfig(call, { forRunning: true })
  const definition = call.program.define(configFile)
  const client = await findMaster({ configFile, runFolder: new RunFolder(definition.runFolder) })
  if (client !== undefined || configFile === undefined) return client
  // Only now, because a config file with a mistake in it is no reason why a cluster that runs could not be stopped.
  const { runDir: named } = await readConfigFile(configFile, definition.provide)
  if (named === undefined) return undefined
  const origin = `"runDir" in ${configFile}`
  const folder = parseGivenOption(path.parse, { baseDir: dirname(configFile), origin, raw: named })
  return findMaster({ runFolder: new RunFolder(folder) })
}
