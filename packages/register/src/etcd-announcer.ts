import { createInstanceId } from '@gatewayworker/protocol'
import type { DiscoveryOptions } from './discovery.ts'
import { signKey } from './etcd-announcement.ts'
import { encodeText } from './etcd-client.ts'
import { EtcdSession } from './etcd-session.ts'

/** A gateway that was killed is gone after this, at the latest; three renewals may be missed. */
const LEASE_S = 8
const RENEW_MS = 2_000

/** A gateway's side: its key is in etcd as long as its process renews the lease that the key hangs on. */
export class EtcdAnnouncer extends EtcdSession {
  readonly #ended: Promise<void>
  readonly #key: string

  /** `gateway` is the gateway's "IPv4:LAN port". Throws BAD_REGISTER_ADDRESS. */
  constructor(gateway: string, address: string, options: DiscoveryOptions) {
    super(address, options)
    // Several processes may announce one address, one after the other: each withdraws its own key only.
    this.#key = `${this.address.prefix}${gateway}/${createInstanceId()}`
    this.#ended = this.keep()
  }

  /** Whether etcd cannot be reached. */
  get isCutOff(): boolean {
    return this.problems.length > 0
  }

  protected override async takePart(): Promise<void> {
    const { ID: lease } = await this.client.call<{ ID: string }>('lease/grant', { TTL: LEASE_S })
    await this.client.call('kv/put', {
      key: encodeText(this.#key),
      lease,
      value: encodeText(signKey(this.#key, this.secretKey)),
    })
    this.onReached()
    for (;;) {
      await this.pause(RENEW_MS)
      if (this.isClosed) return
      const { result } = await this.client.call<{ result: { TTL?: string } }>('lease/keepalive', { ID: lease })
      if (Number(result.TTL ?? 0) <= 0) return // etcd does not know the lease any more
    }
  }

  /** Withdraws the key; while etcd is away that is left to the end of its lease. */
  async close(): Promise<void> {
    this.end()
    await this.#ended
    try {
      if (this.problems.length === 0) await this.client.call('kv/deleterange', { key: encodeText(this.#key) })
    } catch (error) {
      this.log.warn(
        { err: error, etcd: this.address.name },
        `etcd lists this gateway for ${LEASE_S} s more: it did not take the withdrawal`,
      )
    }
    this.client.close()
  }
}
