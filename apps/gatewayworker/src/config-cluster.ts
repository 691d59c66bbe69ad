import { dirname } from 'node:path'
import businessworker from '@gatewayworker/app-businessworker'
import gateway from '@gatewayworker/app-gateway'
import register from '@gatewayworker/app-register'
import {
  type App,
  type AppMember,
  type ClusterDefinition,
  credentialOptions,
  formatAddress,
  type OptionTable,
  optionsFromConfig,
  optionTypes,
  runFolderOf,
  UsageError,
} from '@gatewayworker/supervisor'

const options = {
  'register-address': {
    describe: 'A register of the cluster, or an etcd; may be repeated; default: those of the config file',
    type: optionTypes.list(optionTypes.registerAddress),
  },
  ...credentialOptions,
} satisfies OptionTable

/** The cluster of a config file; see cluster-config.ts for what that holds. */
export function defineConfigCluster(configFile: string): ClusterDefinition<typeof options> {
  return {
    describe: `Starts the cluster of ${configFile}.`,
    load({ sections, values }) {
      const registers = readGroups(register, 'registers', sections.registers, configFile, values)
      const shared = { ...values, 'register-address': values['register-address'] ?? addressesOf(registers) }
      // They stop from the last to the first: clients leave while there are workers to tell.
      const members = [
        ...registers.map((member, at) => ({ ...member, name: registers.length > 1 ? `Register${at + 1}` : undefined })),
        ...readGroups(businessworker, 'workers', sections.workers, configFile, shared),
        ...readGroups(gateway, 'gateways', sections.gateways, configFile, shared),
      ] as AppMember[]
      if (members.length === 0) throw new UsageError(`${configFile} has no registers, workers or gateways`)
      return { members }
    },
    options,
    provide: { gatewayworker: new URL('./index.js', import.meta.url).href },
    runFolder: runFolderOf(configFile),
    sections: ['registers', 'workers', 'gateways'],
  }
}

/** The groups of one list; an option that a group leaves out is as all of the cluster `shared` it. */
function readGroups<Table extends OptionTable>(
  app: App<Table>,
  section: string,
  list: unknown = [],
  configFile: string,
  shared: Readonly<Record<string, unknown>>,
): AppMember<Table>[] {
  if (!Array.isArray(list)) throw new UsageError(`"${section}" in ${configFile} must be a list`)
  return list.map((settings, at) => {
    const where = `${section}[${at}] of ${configFile}`
    const place = { baseDir: dirname(configFile), where }
    return {
      app,
      optionNames: namesInConfig(app, where),
      options: optionsFromConfig(app.options, settings, place, givesSecret(settings) ? withoutSecret(shared) : shared),
    }
  })
}

/** Whether a group has a secret of its own, in either way. */
function givesSecret(settings: unknown): boolean {
  return typeof settings === 'object' && settings !== null && ('secretKey' in settings || 'secretKeyFile' in settings)
}

function withoutSecret(shared: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { ...shared, 'secret-key': undefined, 'secret-key-file': undefined }
}

/** What a message that is about flags has to call them here. */
function namesInConfig({ options }: App, where: string): Record<string, string> {
  const camelCase = (name: string) => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(Object.keys(options).map((name) => [`--${name}`, `"${camelCase(name)}" in ${where}`]))
}

/** Where the other processes of this host reach the registers of this file; undefined where there is none, or on no known port. */
function addressesOf(registers: readonly AppMember<typeof register.options>[]): string[] | undefined {
  const addresses = registers.map(({ options: { listen } }) =>
    formatAddress({ ...listen, host: loopbackOf(listen.host) }),
  )
  return addresses.length > 0 ? addresses : undefined
}

function loopbackOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
