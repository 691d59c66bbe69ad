import { GatewayWorkerError } from '@gatewayworker/protocol'
import type { Announcer, DiscoveryOptions, Watcher } from './discovery.ts'
import { isEtcdAddress, parseEtcdAddress } from './etcd-address.ts'
import { EtcdAnnouncer } from './etcd-announcer.ts'
import { EtcdWatcher } from './etcd-watcher.ts'
import { parseRegisterAddress } from './register-address.ts'
import { RegisterAnnouncer, RegisterWatcher } from './register-client.ts'

/** Keeps a gateway's "IPv4:LAN port" announced at every register address. Throws BAD_REGISTER_ADDRESS. */
export function announceGateway(gateway: string, options: DiscoveryOptions): Announcer {
  const { etcds, registers } = split(options)
  const announcers = [
    ...registers.map((registerAddresses) => new RegisterAnnouncer(gateway, { ...options, registerAddresses })),
    ...etcds.map((address) => new EtcdAnnouncer(gateway, address, options)),
  ]
  return {
    get isCutOff() {
      return announcers.every(({ isCutOff }) => isCutOff)
    },
    get problems() {
      return announcers.flatMap(({ problems }) => problems)
    },
    async close() {
      await Promise.all(announcers.map((announcer) => announcer.close()))
    },
  }
}

/**
 * Calls `onAddresses` with the whole list of online gateways, the union of what the register addresses tell: as soon as one of them has
 * told, and at every change. What is away keeps what it told last. Throws BAD_REGISTER_ADDRESS.
 */
export function watchGateways(options: DiscoveryOptions, onAddresses: (addresses: string[]) => void): Watcher {
  const { etcds, registers } = split(options)
  const lists = new Map<unknown, string[]>()
  const listenTo = (source: unknown) => (addresses: string[]) => {
    lists.set(source, addresses)
    onAddresses([...new Set([...lists.values()].flat())])
  }
  const watchers: Watcher[] = [
    ...registers.map((registerAddresses) => {
      return new RegisterWatcher({ ...options, registerAddresses }, listenTo(registerAddresses))
    }),
    ...etcds.map((address) => new EtcdWatcher(address, options, listenTo(address))),
  ]
  return {
    get isUnreachable() {
      return watchers.every(({ isUnreachable }) => isUnreachable)
    },
    get problems() {
      return watchers.flatMap(({ problems }) => problems)
    },
    close() {
      for (const watcher of watchers) watcher.close()
    },
    knows(address) {
      const answers = watchers.map((watcher) => watcher.knows(address))
      return answers.includes(true) || (answers.includes(false) ? false : undefined)
    },
  }
}

/** Throws BAD_REGISTER_ADDRESS if it is none, or a file that it names cannot be read. */
export function checkRegisterAddress(address: string): void {
  if (isEtcdAddress(address)) parseEtcdAddress(address)
  else parseRegisterAddress(address)
}

/** The registers, all of one client, and the etcds, each of which has its own. */
function split({ registerAddresses }: DiscoveryOptions): { etcds: string[]; registers: string[][] } {
  if (registerAddresses.length === 0)
    throw new GatewayWorkerError('BAD_REGISTER_ADDRESS', 'no register address was given')
  for (const address of registerAddresses) checkRegisterAddress(address)
  const etcds = registerAddresses.filter(isEtcdAddress)
  const registers = registerAddresses.filter((address) => !isEtcdAddress(address))
  return { etcds, registers: registers.length > 0 ? [registers] : [] }
}
