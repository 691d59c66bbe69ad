import type { ClusterMember } from '../cluster-members.ts'
import type { OptionTable, OptionValues } from '../define-app.ts'
import type { Examination } from '../doctor/examination.ts'
import type { OptionSources, ReadOptions } from '../read-options.ts'

/** What `start` starts, with or without a config file. */
export interface ClusterDefinition<Table extends OptionTable = OptionTable> {
  describe: string
  /** The groups, in the order of the table; they stop in the reverse order. */
  load(read: ReadOptions<Table>): { members: readonly ClusterMember[]; openUrl?: string }
  /** The options that its `start` has besides those of every cluster. */
  options: Table
  /** What its config file can import: specifiers to URLs. */
  provide?: Readonly<Record<string, string>>
  /** Path of its run folder, unless the user names another. */
  runFolder: string
  /** Keys of its config file that are no options. */
  sections?: readonly string[]
}

/** What a program's `doctor` looks at besides processes and their host. */
export interface FurtherLooks<Table extends OptionTable = OptionTable> {
  /** What is asked for with these options; undefined where nothing is. */
  examine(values: OptionValues<Table>): Promise<Examination> | undefined
  /** Flags only. */
  options: Table
}

/** A program that starts a cluster and commands it. */
export interface ClusterProgram {
  /** What it is called. */
  command: string
  /** Names of a config file in the working directory that is found without being named, the first that is there. */
  configNames: readonly string[]
  /** What there is to start, by the absolute path of the config file or without one. */
  define(configFile: string | undefined): ClusterDefinition
  describe: string
  doctor?: FurtherLooks
  /** The npm script that calls it. */
  npmScript: string
}

/** One call of such a program. */
export interface Call {
  args: readonly string[]
  env: OptionSources['env']
  program: ClusterProgram
}
