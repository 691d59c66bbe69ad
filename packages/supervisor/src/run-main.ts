import { existsSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { AppMember } from './cluster-members.ts'
import type { Program } from './command-line.ts'
import { ClusterError } from './control/cluster-error.ts'
import { RunFolder } from './control/run-folder.ts'
import type { App, OptionTable, OptionValues } from './define-app.ts'
import { path } from './option-types.ts'
import { printable } from './printable.ts'
import { type CommonOptions, readOptions } from './read-options.ts'
import { runCluster } from './run-cluster.ts'
import { UsageError } from './usage-error.ts'
import { enterDirectory } from './working-directory.ts'

const aloneOptions = {
  'run-dir': { describe: 'Folder of a control socket, for `gatewayworker status` and the like', type: path },
} satisfies OptionTable

/** The exit code of a program whose options are wrong. */
export const USAGE_EXIT_CODE = 2

/**
 * Reads a program's options from flags, environment and config file and runs it with them; --help shows them and ends. A
 * UsageError is shown as one line.
 */
export async function runMain<Table extends OptionTable>(
  program: Program & { options: Table },
  run: (values: OptionValues<Table>, common: CommonOptions) => Promise<void>,
): Promise<void> {
  try {
    enterDirectory()
    const options = await readOptions(program, { args: process.argv.slice(2), env: process.env })
    if ('help' in options) process.stdout.write(`${options.help}\n`)
    else await run(options.values, options.common)
  } catch (error) {
    if (!(error instanceof ClusterError || error instanceof UsageError)) throw error
    process.stderr.write(`${program.command}: ${printable(error.message)}\n`)
    process.exit(error instanceof ClusterError ? error.exitCode : USAGE_EXIT_CODE)
  }
}

/** Runs an app alone if its module is the program that Node was started with; in a child, which only imports it, does nothing. */
export async function runIfMain<Table extends OptionTable>(app: App<Table>): Promise<void> {
  const program = process.argv[1]
  // One that is gone by now is not this one.
  if (program === undefined || !existsSync(program) || realpathSync(program) !== fileURLToPath(app.module)) return
  const table: OptionTable = { ...app.options, ...aloneOptions }
  await runMain({ ...app, options: table }, async (values, common) => {
    const { 'run-dir': runDir, ...options } = values as OptionValues<typeof aloneOptions>
    const runFolder = runDir === undefined ? undefined : new RunFolder(runDir)
    await runCluster([{ app, options } as AppMember], { logLevel: common['log-level'], runFolder })
  })
}
