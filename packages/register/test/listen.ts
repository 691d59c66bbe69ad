import { onTestFinished, vi } from 'vitest'
import { announceGateway, watchGateways } from '../src/discover.ts'
import type { DiscoveryOptions } from '../src/discovery.ts'

/** A watcher whose lists are waited for one by one; it ends with the test. */
export function listen(registerAddresses: readonly string[], options: Partial<DiscoveryOptions> = {}) {
  const lists: string[][] = []
  let wake = () => {}
  const watcher = watchGateways({ registerAddresses, ...options }, (addresses) => {
    lists.push(addresses)
    wake()
  })
  onTestFinished(() => watcher.close())
  const next = async () => {
    while (lists.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return lists.shift()!
  }
  /** Waits until this is the list, and returns those that came before. */
  const until = async (...addresses: string[]) => {
    const before: string[][] = []
    for (;;) {
      const list = await next()
      if (list.toSorted().join() === addresses.join()) return before
      before.push(list)
    }
  }
  return { lists, watcher, next, until }
}

/** A gateway that is online until the test ends. */
export function announce(
  gateway: string,
  registerAddresses: readonly string[],
  options: Partial<DiscoveryOptions> = {},
) {
  const announcer = announceGateway(gateway, { registerAddresses, ...options })
  onTestFinished(() => announcer.close())
  return announcer
}

/** Waits until something is so, for as long as a machine with much else to do may take. */
export async function eventually(isSo: () => boolean): Promise<void> {
  await vi.waitUntil(isSo, { timeout: 10_000 })
}
