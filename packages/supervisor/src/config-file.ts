import { extname } from 'node:path'
import type { OptionTable } from './define-app.ts'
import type { GivenOption } from './given-option.ts'
import { ModuleLoader } from './module-loader.ts'
import { readJson } from './read-text.ts'
import { UsageError } from './usage-error.ts'

/** Where options of a config file stand: `where` names the place in messages, relative files are relative to `baseDir`. */
export interface ConfigPlace {
  baseDir: string
  where: string
}

/**
 * The object that a JSON, TypeScript or JavaScript file holds or exports; anything else is a UsageError. `provide` is as for
 * ModuleLoader.
 */
export async function readConfigFile(
  path: string,
  provide: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown>> {
  const content =
    extname(path) === '.json' ? readJson(path) : defaultExport(await new ModuleLoader({ provide }).load(path))
  if (!isObject(content)) throw new UsageError(`${path} must hold an object of options`)
  return content
}

/** The options of a table that an object of a config file gives, by their kebab-case names; an unknown key is a UsageError. */
export function optionsGivenInConfig(
  settings: Record<string, unknown>,
  table: OptionTable,
  { baseDir, where }: ConfigPlace,
): Map<string, GivenOption> {
  const given = new Map<string, GivenOption>()
  for (const [key, raw] of Object.entries(settings)) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    const isOption = name in table && name !== 'config' && !table[name]!.flagOnly
    if (!isOption) throw new UsageError(`unknown option "${key}" in ${where}`)
    if (raw !== undefined) given.set(name, { baseDir, origin: `"${key}" in ${where}`, raw })
  }
  return given
}

/** Whether a value of a config file is an object of options. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An ES module's default export, or what a CommonJS module exports. */
function defaultExport(module: unknown): unknown {
  return typeof module === 'object' && module !== null && 'default' in module ? module.default : module
}
