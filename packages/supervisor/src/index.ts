export { type Address, formatAddress, parseAddress } from './address.ts'
export type { Program } from './command-line.ts'
export {
  type App,
  type AppContext,
  defineApp,
  type ListenOption,
  type Option,
  type OptionTable,
  type OptionValues,
  type RunningApp,
} from './define-app.ts'
export type { OptionType } from './option-types.ts'
export * as optionTypes from './option-types.ts'
export { optionsFrom } from './read-options.ts'
export { type AppMember, type ClusterSettings, runCluster, type ScriptMember } from './run-cluster.ts'
export { runIfMain, runMain } from './run-main.ts'
export { UsageError } from './usage-error.ts'
