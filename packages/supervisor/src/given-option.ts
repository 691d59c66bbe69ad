import type { OptionTable } from './define-app.ts'
import { UsageError } from './usage-error.ts'

/** A value as it was given, and what to call the place in an error; relative files are relative to `baseDir`. */
export interface GivenOption {
  baseDir: string
  origin: string
  raw: unknown
}

/** The values of a table's options, the defaults for those that are not given; `nameMissing` says what to call one that is required. */
export function parseGivenOptions(
  table: OptionTable,
  given: ReadonlyMap<string, GivenOption>,
  nameMissing = (name: string) => `--${name} is missing; see --help`,
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(table)) {
    const source = given.get(name)
    if (source !== undefined) values[name] = parseGivenOption(option.type.parse, source)
    else if (option.default !== undefined) values[name] = option.type.parse(option.default, process.cwd())
    else if (option.required) throw new UsageError(nameMissing(name))
  }
  return values
}

/** The value of one option, or a UsageError that names where it was given. */
export function parseGivenOption<T>(
  parse: (raw: unknown, baseDir: string) => T,
  { baseDir, origin, raw }: GivenOption,
): T {
  try {
    return parse(raw, baseDir)
  } catch (error) {
    const { message } = error as Error
    throw new UsageError(`${origin} ${error instanceof UsageError ? message : `cannot be used: ${message}`}`)
  }
}
