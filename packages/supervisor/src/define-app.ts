import type { Logger } from 'pino'
import type { OptionType } from './option-types.ts'

type DefaultValue = boolean | number | string | readonly string[]

/** One option of an app: `default` is written as a user would write it, undefined for an option that may stay unset. */
export interface Option<T = unknown> {
  default?: DefaultValue
  describe: string
  /** Whether a start without it is refused. */
  required?: boolean
  type: OptionType<T>
}

/** An app's options by their name in kebab-case: `start-port` is --start-port, GW_START_PORT and startPort in a config file. */
export type OptionTable = Record<string, Option>

/** The values that an option table yields, by the same kebab-case names; one without a default or `required` may be undefined. */
export type OptionValues<Table extends OptionTable> = {
  [Name in keyof Table]:
    | (Table[Name] extends Option<infer T> ? T : never)
    | (Table[Name] extends { default: DefaultValue } | { required: true } ? never : undefined)
}

/** A port that a process listens on, and the options that change it: for the one line that says why a start failed. */
export interface ListenOption {
  hostOption: string
  port: number
  portOption: string
}

/** What the child's half gives to an app's `start`. */
export interface AppContext {
  /** Which process of its group this is, from 0. */
  index: number
  /** Writes lines that name the process and its index. */
  log: Logger
  /**
   * Imports a user's module, TypeScript or JavaScript, in the format its extension and nearest package.json say. It and what
   * it imports get the running copy of the packages in `provide` (specifier to file URL). A syntax error is a UsageError.
   */
  loadModule(file: string, provide?: Record<string, string>): Promise<unknown>
  /** The name of its group. */
  name: string
  /** From now on, a change of a file that `loadModule` loaded ends this process and starts a new one in its place. */
  restartOnChange(): void
}

/** An app that has started. */
export interface RunningApp {
  /** More for the "ready" line in the log. */
  details?: object
  /** What it listens on, for the table and the "ready" line. */
  listen?: string
  /** Ends everything it does; the process exits when it resolves. */
  stop(): Promise<void>
}

/** A kind of process: its options and how it starts. */
export interface App<Table extends OptionTable = OptionTable> {
  /** The npm script that starts it alone, for --help. */
  command: string
  describe: string
  /** `import.meta.url` of the module whose default export this is: the child imports it. */
  module: string
  /** The name of its group, unless the app has an option `name` that says another. */
  name: string
  /** An option `count`, when there is one, says how many processes a group has. */
  options: Table
  /** The ports that a process is going to listen on. */
  ports?(options: OptionValues<Table>, index: number): ListenOption[]
  /** `host:port` that all processes of a group accept connections on together; without it none of its ports is shared. */
  sharedListen?(options: OptionValues<Table>): string
  /** Runs in the child; a rejection ends it. */
  start(options: OptionValues<Table>, context: AppContext): Promise<RunningApp>
}

/** Defines a kind of process; the identity function, for the types of its options. */
export function defineApp<Table extends OptionTable>(app: App<Table>): App<Table> {
  return app
}
