import { readFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { type Program, parseCommandLine } from './command-line.ts'
import type { OptionTable, OptionValues } from './define-app.ts'
import { ModuleLoader } from './module-loader.ts'
import { file, oneOf } from './option-types.ts'
import { UsageError } from './usage-error.ts'

const commonOptions = {
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

/** A value as it was given, and what to call the place in an error. */
interface GivenOption {
  baseDir: string
  origin: string
  raw: unknown
}

/**
 * Reads a program's options and the common ones: flags win over the environment, it over the config file, that over the
 * defaults. Yields the text to show when --help was asked for. An unknown or wrong one is a UsageError that names it.
 */
export async function readOptions<Table extends OptionTable>(
  program: Program & { options: Table },
  { args, env }: OptionSources,
): Promise<{ help: string } | { common: CommonOptions; values: OptionValues<Table> }> {
  const table: OptionTable = { ...program.options, ...commonOptions }
  const commandLine = await parseCommandLine({ ...program, options: table }, args)
  if ('help' in commandLine) return commandLine

  const given = new Map<string, GivenOption>()
  // npm runs a script in the package's folder, and says in which one the user was.
  const baseDir = (env.npm_lifecycle_event === program.command ? env.INIT_CWD : undefined) ?? process.cwd()
  // GW_* variables of other programs are normal: one environment file may serve several kinds of process.
  for (const name of Object.keys(table)) {
    const variable = `GW_${name.replaceAll('-', '_').toUpperCase()}`
    const raw = env[variable]
    if (raw !== undefined) given.set(name, { baseDir, origin: variable, raw })
  }
  for (const [name, raw] of commandLine.flags) given.set(name, { baseDir, origin: `--${name}`, raw })

  const config = given.get('config')
  if (config !== undefined) {
    const configFile = parseGiven(file.parse, config)
    for (const [name, option] of await readConfigFile(configFile, table)) if (!given.has(name)) given.set(name, option)
  }
  const values = parseOptions(table, given) as OptionValues<Table> & CommonOptions
  return { common: { config: values.config, 'log-level': values['log-level'] }, values }
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
  return parseOptions(table, given) as OptionValues<Table>
}

function parseOptions(table: OptionTable, given: ReadonlyMap<string, GivenOption>): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(table)) {
    const source = given.get(name)
    if (source !== undefined) values[name] = parseGiven(option.type.parse, source)
    else if (option.default !== undefined) values[name] = option.type.parse(option.default, process.cwd())
    else if (option.required) throw new UsageError(`--${name} is missing; see --help`)
  }
  return values
}

function parseGiven<T>(parse: (raw: unknown, baseDir: string) => T, { baseDir, origin, raw }: GivenOption): T {
  try {
    return parse(raw, baseDir)
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${origin} ${error.message}`) : error
  }
}

async function readConfigFile(path: string, table: OptionTable): Promise<Map<string, GivenOption>> {
  const config = extname(path) === '.json' ? await readJson(path) : defaultExport(await new ModuleLoader().load(path))
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new UsageError(`${path} must hold an object of options`)
  const given = new Map<string, GivenOption>()
  for (const [key, raw] of Object.entries(config)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    if (!(name in table) || name === 'config') throw new UsageError(`unknown option "${key}" in ${path}`)
    given.set(name, { baseDir: dirname(path), origin: `"${key}" in ${path}`, raw })
  }
  return given
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new UsageError(`${path} cannot be read as JSON: ${(error as Error).message}`)
  }
}

/** An ES module's default export, or what a CommonJS module exports. */
function defaultExport(module: unknown): unknown {
  return typeof module === 'object' && module !== null && 'default' in module ? module.default : module
}
