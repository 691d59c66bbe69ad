import { dirname } from 'node:path'
import { type Program, parseCommandLine } from './command-line.ts'
import { type ConfigPlace, isObject, optionsGivenInConfig, readConfigFile } from './config-file.ts'
import type { OptionTable, OptionValues } from './define-app.ts'
import { type GivenOption, parseGivenOption, parseGivenOptions } from './given-option.ts'
import { file, oneOf } from './option-types.ts'
import { UsageError } from './usage-error.ts'
import { logicalDirectory } from './working-directory.ts'

/** Where every program's options may be, and how much it logs. */
export const commonOptions = {
  config: { describe: 'Read options from this JSON, TypeScript or JavaScript file', type: file },
  'log-level': {
    default: 'info',
    describe: 'Log lines of this level and above',
    type: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  },
} satisfies OptionTable

/** The options that every program has. */
export type CommonOptions = OptionValues<typeof commonOptions>

/** Where options come from; the tests give their own. */
export interface OptionSources {
  args: readonly string[]
  env: Record<string, string | undefined>
}

/** A program's options as they were read; `sections` are the parts of the config file that are no options. */
export interface ReadOptions<Table extends OptionTable> {
  common: CommonOptions
  sections: Record<string, unknown>
  values: OptionValues<Table>
}

/**
 * Reads a program's options and the common ones: flags win over the environment, it over the config file, that over the
 * defaults. Yields the text to show when --help was asked for. An unknown or wrong one is a UsageError that names it.
 */
export async function readOptions<Table extends OptionTable>(
  program: Program & { options: Table },
  sources: OptionSources,
): Promise<{ help: string } | ReadOptions<Table>> {
  const table: OptionTable = { ...program.options, ...commonOptions }
  const read = await readGivenFlags({ ...program, options: table }, sources)
  if ('help' in read) return read

  const { given } = read
  const sections: Record<string, unknown> = {}
  const config = given.get('config')
  if (config !== undefined) {
    const path = parseGivenOption(file.parse, config)
    const settings = { ...(await readConfigFile(path, program.provide)) }
    for (const section of program.sections ?? []) {
      sections[section] = settings[section]
      delete settings[section]
    }
    const place = { baseDir: dirname(path), where: path }
    for (const [name, option] of optionsGivenInConfig(settings, table, place))
      if (!given.has(name)) given.set(name, option)
  }
  const values = parseGivenOptions(table, given) as OptionValues<Table> & CommonOptions
  return { common: { config: values.config, 'log-level': values['log-level'] }, sections, values }
}

/** Reads the options of a program that has no config file, from flags and environment, and no others than those of its table. */
export async function readFlags<Table extends OptionTable>(
  program: Program & { options: Table },
  sources: OptionSources,
): Promise<{ help: string } | { values: OptionValues<Table> }> {
  const read = await readGivenFlags(program, sources)
  if ('help' in read) return read
  return { values: parseGivenOptions(program.options, read.given) as OptionValues<Table> }
}

/** The values of an option table from values written as in a config file, kebab-case, with the defaults for the rest. */
export function optionsFrom<Table extends OptionTable>(
  table: Table,
  settings: Partial<Record<keyof Table, unknown>>,
): OptionValues<Table> {
  const given = new Map<string, GivenOption>()
  for (const [name, raw] of Object.entries(settings)) {
    if (!(name in table)) throw new UsageError(`unknown option "${name}"`)
    if (raw !== undefined) given.set(name, { baseDir: process.cwd(), origin: `--${name}`, raw })
  }
  return parseGivenOptions(table, given) as OptionValues<Table>
}

/**
 * The values of an option table from an object within a config file; what that leaves out comes from `shared`, values that were
 * parsed before, and then from the defaults. A mistake is a UsageError that names the key and the place.
 */
export function optionsFromConfig<Table extends OptionTable>(
  table: Table,
  settings: unknown,
  place: ConfigPlace,
  shared: Readonly<Record<string, unknown>> = {},
): OptionValues<Table> {
  if (!isObject(settings)) throw new UsageError(`${place.where} must be an object of options`)
  const given = optionsGivenInConfig(settings, table, place)
  const camelCase = (name: string) => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const values = parseGivenOptions(table, given, (name) => `"${camelCase(name)}" is missing in ${place.where}`)
  for (const [name, value] of Object.entries(shared)) {
    if (name in table && !given.has(name) && value !== undefined) values[name] = value
  }
  return values as OptionValues<Table>
}

/** In which folder the user was, as the shell calls it: npm runs a script in the package's. */
export function userDirectory(npmScript: string, env: OptionSources['env']): string {
  return logicalDirectory((env.npm_lifecycle_event === npmScript ? env.INIT_CWD : undefined) ?? process.cwd(), env)
}

async function readGivenFlags(
  program: Program,
  { args, env }: OptionSources,
): Promise<{ help: string } | { given: Map<string, GivenOption> }> {
  const commandLine = await parseCommandLine(program, args)
  if ('help' in commandLine) return commandLine

  const given = new Map<string, GivenOption>()
  const baseDir = userDirectory(program.npmScript ?? program.command, env)
  if (program.configFile !== undefined) given.set('config', { baseDir, origin: '--config', raw: program.configFile })
  // GW_* variables of other programs are normal: one environment file may serve several kinds of process.
  const empty: string[] = []
  for (const [name, { flagOnly }] of Object.entries(program.options)) {
    const variable = variableOf(name)
    const raw = env[variable]
    if (raw === undefined || flagOnly) continue
    // Docker Compose and the like set a variable that they have no value for to nothing.
    if (raw.trim() === '') empty.push(name)
    else given.set(name, { baseDir, origin: variable, raw })
  }
  for (const [name, raw] of commandLine.flags) given.set(name, { baseDir, origin: `--${name}`, raw })
  refuseDisabling(program.options, empty, given)
  return { given }
}

/** Unless another option, or a flag, does the same. */
function refuseDisabling(table: OptionTable, empty: readonly string[], given: ReadonlyMap<string, GivenOption>): void {
  const kept = new Set([...given.keys()].map((name) => table[name]?.emptyWouldDisable))
  for (const name of empty) {
    const what = table[name]!.emptyWouldDisable
    if (what === undefined || kept.has(what)) continue
    throw new UsageError(`${variableOf(name)} is empty, which would switch ${what} off: give it a value, or unset it`)
  }
}

function variableOf(name: string): string {
  return `GW_${name.replaceAll('-', '_').toUpperCase()}`
}
