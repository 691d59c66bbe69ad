import yargs from 'yargs'
import { isInBackground, tellFailed } from './background.ts'
import type { Call, ClusterProgram } from './commands/cluster-program.ts'
import { connections } from './commands/connections.ts'
import { deadLetters } from './commands/dead-letters.ts'
import { doctor } from './commands/doctor.ts'
import { ready } from './commands/ready.ts'
import { reload } from './commands/reload.ts'
import { restart } from './commands/restart.ts'
import { start } from './commands/start.ts'
import { status } from './commands/status.ts'
import { stop } from './commands/stop.ts'
import { ClusterError } from './control/cluster-error.ts'
import { printable } from './printable.ts'
import { USAGE_EXIT_CODE } from './run-main.ts'
import { UsageError } from './usage-error.ts'
import { enterDirectory } from './working-directory.ts'

const commands: Record<string, { describe: string; run: (call: Call) => Promise<void> }> = {
  start: { describe: 'Start the cluster; -d in the background', run: start },
  stop: { describe: 'Stop it; -g however long running handlers take', run: stop },
  restart: { describe: 'Stop it, and start it', run: restart },
  reload: { describe: 'Replace the processes that run your code; clients stay connected', run: reload },
  status: { describe: 'Show what each process does; -d refreshes', run: status },
  ready: { describe: 'Succeed if others can find and reach all of it, for health checks', run: ready },
  connections: { describe: 'List the clients', run: connections },
  'dead-letters': { describe: 'List events that were given up, and deliver them again', run: deadLetters },
  doctor: { describe: 'Find out what is wrong, running or not, and how to mend it', run: doctor },
}

/**
 * Runs a command of a program that starts a cluster and commands it; without one, `start`. What is wrong is told in one line, and by
 * the exit code; see the package's README.
 */
export async function runCli(program: ClusterProgram): Promise<void> {
  const args = process.argv.slice(2)
  const [first] = args
  if (first === '--help' || first === 'help') {
    process.stdout.write(`${await describeCommands(program)}\n`)
    return
  }
  const isNamed = first !== undefined && !first.startsWith('-')
  const name = isNamed ? first : 'start'
  try {
    enterDirectory()
    if (!Object.hasOwn(commands, name)) throw new UsageError(`there is no command "${name}"; see --help`)
    await commands[name]!.run({ args: isNamed ? args.slice(1) : args, env: process.env, program })
  } catch (error) {
    if (!(error instanceof ClusterError || error instanceof UsageError)) throw error
    if (isInBackground) tellFailed(error.message)
    process.stderr.write(`${program.command} ${name}: ${printable(error.message)}\n`)
    process.exit(error instanceof ClusterError ? error.exitCode : USAGE_EXIT_CODE)
  }
}

function describeCommands({ command, describe }: ClusterProgram): Promise<string> {
  const help = yargs([])
    .scriptName(command)
    .usage(`${describe}\n\nUsage: $0 [command] [options]`)
    .detectLocale(false)
    .help(false)
    .version(false)
    .wrap(Math.min(process.stdout.columns ?? 100, 120))
    .epilogue(`Without a command it starts. ${command} COMMAND --help explains a command's options.`)
  for (const [name, { describe: text }] of Object.entries(commands)) help.command(name, text)
  return help.getHelp()
}
