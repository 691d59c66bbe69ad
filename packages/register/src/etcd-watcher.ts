import type { DiscoveryOptions, Watcher } from './discovery.ts'
import { readAnnouncement } from './etcd-announcement.ts'
import { decodeText, rangeOf } from './etcd-client.ts'
import { EtcdSession } from './etcd-session.ts'
import { HeldList } from './held-list.ts'

/**
 * The list is read at every change, and this often besides. Leases run on while etcd itself is stopped, and are ended before gateways can
 * renew them; by then this has failed, so that what etcd forgot is held.
 */
const READ_MS = 2_000

/** A worker's or backend's side: hears which gateways have a key in etcd. */
export class EtcdWatcher extends EtcdSession implements Watcher {
  readonly #list: HeldList
  /** Whether the list is etcd's word of now. */
  #isCurrent = false
  #strangers = new Set<string>()

  /** `onAddresses` gets the whole list, at once and at every change. Throws BAD_REGISTER_ADDRESS. */
  constructor(address: string, options: DiscoveryOptions, onAddresses: (addresses: string[]) => void) {
    super(address, options)
    this.#list = new HeldList(() => onAddresses(this.#list.addresses))
    void this.keep()
  }

  /** Whether etcd has a gateway's key; undefined while it is away. */
  knows(address: string): boolean | undefined {
    return this.#isCurrent ? this.#list.names(address) : undefined
  }

  close(): void {
    this.end()
    this.client.close()
    this.#list.close()
  }

  protected override async takePart(): Promise<void> {
    const changes = await this.client.watch(this.address.prefix) // before the list is read, so that none is missed
    try {
      while (!this.isClosed) {
        await this.#read()
        await changes.next(READ_MS)
      }
    } finally {
      changes.close()
      if (this.#isCurrent) this.#list.leave()
      this.#isCurrent = false
    }
  }

  async #read(): Promise<void> {
    const { prefix } = this.address
    const { kvs = [] } = await this.client.call<{ kvs?: { key: string; value?: string }[] }>(
      'kv/range',
      rangeOf(prefix),
    )
    if (this.isClosed) return
    const addresses = new Set<string>()
    const strangers = new Set<string>()
    for (const { key, value = '' } of kvs) {
      const address = readAnnouncement(decodeText(key), decodeText(value), prefix, this.secretKey)
      if (address === undefined) strangers.add(decodeText(key))
      else addresses.add(address)
    }
    if (addresses.size === 0 && strangers.size > 0)
      throw new Error('the gateways there have another secret; is the secret key the same?')
    this.#reportStrangers(strangers)
    this.onReached()
    this.#isCurrent = true
    this.#list.take([...addresses])
  }

  #reportStrangers(strangers: Set<string>): void {
    for (const key of strangers) {
      if (this.#strangers.has(key)) continue
      this.log.warn({ etcd: this.address.name, key }, 'this gateway is not used: it was announced with another secret')
    }
    this.#strangers = strangers
  }
}
