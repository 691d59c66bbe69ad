import type { Announcer, DiscoveryOptions, Watcher } from './discovery.ts'
import { parseRegisterAddress, RegisterAnnouncer, RegisterWatcher } from './register-client.ts'

/** Keeps a gateway's "IPv4:LAN port" announced at every register address. Throws BAD_REGISTER_ADDRESS. */
export function announceGateway(address: string, options: DiscoveryOptions): Announcer {
  const announcer = new RegisterAnnouncer(address, options)
  return {
    get isCutOff() {
      return announcer.isCutOff
    },
    get problems() {
      return announcer.problems
    },
    close: async () => announcer.close(),
  }
}

/**
 * Calls `onAddresses` with the whole list of online gateways, the union of what the register addresses tell: as soon as one of them has
 * told, and at every change. What is away keeps what it told last. Throws BAD_REGISTER_ADDRESS.
 */
export function watchGateways(options: DiscoveryOptions, onAddresses: (addresses: string[]) => void): Watcher {
  return new RegisterWatcher(options, onAddresses)
}

/** Throws BAD_REGISTER_ADDRESS if it is none. */
export function checkRegisterAddress(address: string): void {
  parseRegisterAddress(address)
}
