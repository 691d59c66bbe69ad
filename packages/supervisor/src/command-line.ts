import yargs from 'yargs'
import type { OptionTable } from './define-app.ts'
import { UsageError } from './usage-error.ts'

/** What a program is called and does, for its --help, and how its options are read. */
export interface Program {
  command: string
  /** The config file that is read when no other is given. */
  configFile?: string
  describe: string
  /** The last words of its help, instead of those about environment and config file. */
  epilogue?: string
  /** The npm script that starts it, if that is not called like the command. */
  npmScript?: string
  options: OptionTable
  /** What a config file can import: specifiers to URLs of modules that run here. */
  provide?: Readonly<Record<string, string>>
  /** Keys of the config file that are no options. */
  sections?: readonly string[]
  /** How it is called, if not by the npm script of its name. */
  usage?: string
}

/** The flags that were given, unread, by option name, or the text to show for --help; an unknown flag is a UsageError. */
export async function parseCommandLine(
  {
    command,
    describe,
    options,
    epilogue = describeSources(options),
    usage = `npm run ${command} -- [options]`,
  }: Program,
  args: readonly string[],
): Promise<{ flags: Map<string, unknown> } | { help: string }> {
  const parser = yargs([...args])
    .scriptName(command)
    .usage(`${describe}\n\nUsage: ${usage}`)
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
    .epilogue(epilogue)
  for (const [name, option] of Object.entries(options)) {
    const { hint, repeatable, valueOptional } = option.type
    const isFlag = hint === undefined
    parser.option(name, {
      // No default here: what was given has to be told from what was not. Help shows it all the same.
      alias: option.alias,
      array: repeatable,
      defaultDescription: describeDefault(option.default),
      describe: isFlag ? option.describe : `${hint}: ${option.describe}`,
      nargs: isFlag || valueOptional ? undefined : 1,
      type: isFlag ? 'boolean' : 'string',
    })
  }
  const { _: positionals, $0: _program, help, ...flags } = parser.parseSync()
  if (help) return { help: await parser.getHelp() }
  const aliases = new Set(Object.values(options).map(({ alias }) => alias))
  for (const [name, value] of Object.entries(flags)) {
    if (value === undefined || aliases.has(name)) delete flags[name]
    else if (!(name in options)) throw new UsageError(`unknown option --${name}; see --help`)
    else if (Array.isArray(value) && !options[name]!.type.repeatable)
      throw new UsageError(`--${name} is given more than once`)
    else if (value === '' && options[name]!.type.valueOptional && !args.includes(`--${name}=`)) flags[name] = true
  }
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"; see --help`)
  return { flags: new Map(Object.entries(flags)) }
}

function describeSources(options: OptionTable): string {
  const flags = Object.keys(options).filter((name) => options[name]!.flagOnly)
  const which = flags.length === 0 ? 'Every option' : `Every option but --${flags.join(' and --')}`
  return (
    `${which} can also be set by environment (--lan-ip is GW_LAN_IP) or in a config file (lanIp); ` +
    'a flag wins over the environment, the environment over the file.'
  )
}

function describeDefault(value: unknown): string | undefined {
  if (value === undefined) return undefined
  return Array.isArray(value) ? value.join(', ') : value === '' ? 'empty' : String(value)
}
