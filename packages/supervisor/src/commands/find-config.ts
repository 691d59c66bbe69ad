import { existsSync, readdirSync } from 'node:fs'
import { parse, resolve } from 'node:path'
import { Parser } from 'yargs/helpers'
import { file } from '../option-types.ts'
import { userDirectory } from '../read-options.ts'
import { UsageError } from '../usage-error.ts'
import type { Call } from './cluster-program.ts'

/** What other programs' config files can be, and ours not. */
const OTHER_FORMATS = /^\.(?:json5|jsonc|toml|ya?ml)$/

/**
 * The config file that a call is about: the one of --config or GW_CONFIG, which has to exist, or else one in the user's working
 * directory. It decides what other options there are, and so is found before they are read. Several, or one that could not be read,
 * are a UsageError; `forRunning` takes the first one, since all of a folder go with the same run folder.
 */
export function findConfig({ args, env, program }: Call, { forRunning = false } = {}): string | undefined {
  const directory = userDirectory(program.npmScript, env)
  const { config = env.GW_CONFIG } = Parser([...args], { string: ['config'] }) as { config?: unknown }
  // A flag without its value, or given twice, is refused when the options are read.
  if (typeof config !== 'string' || config.trim() === '') {
    if (!forRunning) refuseDoubt(directory, program.configNames)
    return findIn(directory, program.configNames)[0]
  }
  try {
    return file.parse(config, directory)
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`--config ${error.message}`) : error
  }
}

/** The config files that are there. */
function findIn(directory: string, names: readonly string[]): string[] {
  return names.map((name) => resolve(directory, name)).filter((path) => existsSync(path))
}

function refuseDoubt(directory: string, names: readonly string[]): void {
  const found = findIn(directory, names)
  if (found.length > 1) {
    throw new UsageError(`there are ${found.join(' and ')}: keep one of them, or name one with --config`)
  }
  if (found.length > 0 || names.length === 0) return
  const stem = parse(names[0]!).name
  const other = readdirSync(directory).find((name) => parse(name).name === stem && OTHER_FORMATS.test(parse(name).ext))
  if (other === undefined) return
  throw new UsageError(`${resolve(directory, other)} cannot be read: a config file is called ${names.join(', ')}`)
}
