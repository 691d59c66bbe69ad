import { networkInterfaces } from 'node:os'
import { describe } from 'vitest'

const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])

/** An IPv4 address of this host that is not loopback; '' if there is none. */
export const hostAddress = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? ''

/** A suite that needs such an address; skipped where there is none, and says so. */
export function describeWithHostAddress(name: string, suite: () => void): void {
  const skipped = `${name} (skipped: not possible here: this host has no address but loopback)`
  if (hostAddress === '') console.warn(skipped)
  describe.skipIf(hostAddress === '')(hostAddress === '' ? skipped : name, suite)
}
