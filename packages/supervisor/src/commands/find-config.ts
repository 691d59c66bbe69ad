import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Parser } from 'yargs/helpers'
import { file } from '../option-types.ts'
import { userDirectory } from '../read-options.ts'
import { UsageError } from '../usage-error.ts'
import type { Call } from './cluster-program.ts'

/**
 * The config file that a call is about: the one of --config or GW_CONFIG, which has to exist, or else one in the user's working
 * directory. It decides what other options there are, and so is found before they are read.
 */
export function findConfig({ args, env, program }: Call): string | undefined {
  const directory = userDirectory(program.npmScript, env)
  const { config = env.GW_CONFIG } = Parser([...args], { string: ['config'] }) as { config?: unknown }
  // A flag without its value, or given twice, is refused when the options are read.
  if (typeof config !== 'string' || config.trim() === '') return findIn(directory, program.configNames)
  try {
    return file.parse(config, directory)
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`--config ${error.message}`) : error
  }
}

function findIn(directory: string, names: readonly string[]): string | undefined {
  return names.map((name) => resolve(directory, name)).find((path) => existsSync(path))
}
