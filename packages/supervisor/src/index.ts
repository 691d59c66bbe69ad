export { type Address, formatAddress, parseAddress } from './address.ts'
export type { AppMember, ClusterMember, ScriptMember } from './cluster-members.ts'
export type { Program } from './command-line.ts'
export type { ClusterDefinition, ClusterProgram, FurtherLooks } from './commands/cluster-program.ts'
export { runFolderOf } from './control/run-folder.ts'
export { credentialOptions, explainRefusal, readCredentials } from './credential-options.ts'
export {
  type App,
  type AppContext,
  type ConnectionRow,
  type ConnectionsPage,
  type ConnectionsQuery,
  type DeadLettersAnswer,
  type DeadLettersQuery,
  defineApp,
  type ExamineContext,
  type ListenOption,
  type Option,
  type OptionTable,
  type OptionValues,
  type ProcessStats,
  type RunningApp,
} from './define-app.ts'
export { type Examination, type Finding, joinExaminations, problem, warning } from './doctor/examination.ts'
export type { OptionType } from './option-types.ts'
export * as optionTypes from './option-types.ts'
export { optionsFrom, optionsFromConfig } from './read-options.ts'
export { readText } from './read-text.ts'
export { runCli } from './run-cli.ts'
export { type ClusterSettings, runCluster } from './run-cluster.ts'
export { runIfMain, runMain } from './run-main.ts'
export { readSecretFile, secretFile } from './secret-file.ts'
export { UsageError } from './usage-error.ts'
export { type BlockReport, startWatchdog, type WatchdogOptions } from './watchdog.ts'
