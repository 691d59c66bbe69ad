import yargs from 'yargs'
import type { OptionTable } from './define-app.ts'
import { UsageError } from './usage-error.ts'

/** What a program is called and does, for its --help. */
export interface Program {
  command: string
  describe: string
  options: OptionTable
}

/** The flags that were given, unread, by option name, or the text to show for --help; an unknown flag is a UsageError. */
export async function parseCommandLine(
  { command, describe, options }: Program,
  args: readonly string[],
): Promise<{ flags: Map<string, unknown> } | { help: string }> {
  const parser = yargs([...args])
    .scriptName(command)
    .usage(`${describe}\n\nUsage: npm run ${command} -- [options]`)
    // yargs would print the whole help around the message.
    .fail((message) => {
      throw new UsageError(message.replace(/^Not enough arguments following: (.+)$/, '--$1 needs a value'))
    })
    .detectLocale(false)
    .exitProcess(false)
    .help(false)
    .version(false)
    .wrap(Math.min(process.stdout.columns ?? 100, 120))
    .parserConfiguration({
      // --no-worker-timeout is a name, and does not switch a --worker-timeout off.
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-positional-numbers': false,
    })
    .option('help', { type: 'boolean', describe: 'Show this text' })
    .epilogue(
      'Every option can also be set by environment (--lan-ip is GW_LAN_IP) or in a config file (lanIp); ' +
        'a flag wins over the environment, the environment over the file.',
    )
  for (const [name, option] of Object.entries(options)) {
    const { hint, repeatable } = option.type
    const isFlag = hint === undefined
    parser.option(name, {
      // No default here: what was given has to be told from what was not. Help shows it all the same.
      array: repeatable,
      defaultDescription: describeDefault(option.default),
      describe: isFlag ? option.describe : `${hint}: ${option.describe}`,
      nargs: isFlag ? undefined : 1,
      type: isFlag ? 'boolean' : 'string',
    })
  }
  const { _: positionals, $0: _program, help, ...flags } = parser.parseSync()
  if (help) return { help: await parser.getHelp() }
  for (const [name, value] of Object.entries(flags)) {
    if (value === undefined) delete flags[name]
    else if (!(name in options)) throw new UsageError(`unknown option --${name}; see --help`)
    else if (Array.isArray(value) && !options[name]!.type.repeatable)
      throw new UsageError(`--${name} is given more than once`)
  }
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"; see --help`)
  return { flags: new Map(Object.entries(flags)) }
}

function describeDefault(value: unknown): string | undefined {
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.join(', ') : value === '' ? 'empty' : String(value)
}
