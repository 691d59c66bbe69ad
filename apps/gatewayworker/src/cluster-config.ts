import type businessworker from '@gatewayworker/app-businessworker'
import type gateway from '@gatewayworker/app-gateway'
import type register from '@gatewayworker/app-register'
import type { App, Option, OptionTable } from '@gatewayworker/supervisor'

/** What a config file of a cluster holds. Files and folders are relative to it. */
export interface ClusterConfig {
  /** Which gateways and registers of PHP are told the secret in clear: on this host, or on any; `true` also lets PHP peers of other hosts in. */
  allowLegacy?: boolean | 'loopback'
  /** Groups of gateways; two groups need different names, ports for clients and LAN ports. */
  gateways?: GroupConfig<typeof gateway>[]
  /** Where the log of a start in the background is, if not in the run folder. */
  logFile?: string
  logLevel?: 'debug' | 'error' | 'fatal' | 'info' | 'silent' | 'trace' | 'warn'
  /** The registers that all of this cluster know, on whichever host; default: those of this file. */
  registerAddress?: string | string[]
  registers?: GroupConfig<typeof register>[]
  /** Where the control socket and the pid file are, if not beside this file. */
  runDir?: string
  /** What every process of the cluster must know. */
  secretKey?: string
  /** A file that holds it, in place of `secretKey`. */
  secretKeyFile?: string
  /** Files in PEM: the CA of the cluster, this host's certificate of it, and its key. With them links and registers are encrypted. */
  tlsCa?: string
  tlsCert?: string
  tlsKey?: string
  /** Groups of workers, each with the Events that it runs; two groups need different names. */
  workers?: GroupConfig<typeof businessworker>[]
}

/** Types the default export of a config file; the identity function. */
export function defineCluster(config: ClusterConfig): ClusterConfig {
  return config
}

/** The options of an app's flags as a config file has them: camelCase, each written as its value is. */
type GroupConfig<A> = A extends App<infer Table> ? OptionalKeys<Table> & RequiredKeys<Table> : never

type OptionalKeys<Table extends OptionTable> = {
  -readonly [Name in keyof Table as Table[Name] extends { required: true } ? never : CamelCase<Name>]?: Written<
    Table[Name]
  >
}

type RequiredKeys<Table extends OptionTable> = {
  -readonly [Name in keyof Table as Table[Name] extends { required: true } ? CamelCase<Name> : never]: Written<
    Table[Name]
  >
}

/** An address and the like is written as text. */
type Written<O> = O extends Option<infer Value> ? WrittenValue<Value> : never

type WrittenValue<Value> = Value extends readonly (infer Item)[]
  ? WrittenValue<Item> | WrittenValue<Item>[]
  : Value extends boolean | number | string
    ? Value
    : string

type CamelCase<Name> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name & string
