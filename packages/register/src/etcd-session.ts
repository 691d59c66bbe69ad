import { type Log, silentLog } from '@gatewayworker/protocol'
import type { DiscoveryOptions } from './discovery.ts'
import { type EtcdAddress, parseEtcdAddress } from './etcd-address.ts'
import { EtcdClient } from './etcd-client.ts'

const RETRY_MS = 1_000
/** Processes of a cluster start together: an etcd that is not there yet is given its time to start, and looked for more often. */
const START_RETRY_MS = 100
const START_RETRIES = 10

/** Takes part in one cluster on one etcd: again and again, as its absences end it. */
export abstract class EtcdSession {
  protected readonly address: EtcdAddress
  protected readonly client: EtcdClient
  protected isClosed = false
  protected readonly log: Log
  protected readonly secretKey: string
  readonly #onFailure: DiscoveryOptions['onFailure']
  readonly #persistent: boolean
  #endPause = () => {}
  #isReported = false
  #isUnreachable = false
  #problem: string | undefined
  #startRetries = START_RETRIES

  /** Throws BAD_REGISTER_ADDRESS. */
  constructor(address: string, { log = silentLog, onFailure, persistent = true, secretKey = '' }: DiscoveryOptions) {
    this.address = parseEtcdAddress(address)
    this.client = new EtcdClient(this.address, persistent)
    this.log = log
    this.secretKey = secretKey
    this.#onFailure = onFailure
    this.#persistent = persistent
  }

  /** Whether nobody listened there when it was last tried. */
  get isUnreachable(): boolean {
    return this.#isUnreachable
  }

  /** Why etcd is away, in words; none while it is there. */
  get problems(): string[] {
    return this.#problem === undefined ? [] : [`${this.address.name}: ${this.#problem}`]
  }

  /** Takes part until this is closed, which ends it without a word, or etcd is away, which rejects with the reason. */
  protected abstract takePart(): Promise<void>

  /** Takes part until this is closed. */
  protected async keep(): Promise<void> {
    while (!this.isClosed) {
      try {
        await this.takePart()
      } catch (error) {
        if (!this.isClosed) await this.#onAway(error as NodeJS.ErrnoException)
      }
    }
  }

  /** Etcd has done what it was asked to. */
  protected onReached(): void {
    this.#isUnreachable = false
    this.#startRetries = 0
    this.#problem = undefined
    if (this.#isReported) this.log.info({ etcd: this.address.name }, 'etcd is back')
    this.#isReported = false
  }

  protected pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.isClosed) return resolve()
      const timer = setTimeout(resolve, ms)
      if (!this.#persistent) timer.unref()
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Ends `keep`, as soon as what was asked of etcd is answered. */
  protected end(): void {
    this.isClosed = true
    this.#endPause()
  }

  async #onAway(error: NodeJS.ErrnoException): Promise<void> {
    const reason = error.message.trim()
    this.#isUnreachable = error.code === 'ECONNREFUSED'
    this.#problem = reason
    this.#onFailure?.(error)
    if (this.#startRetries > 0) {
      this.#startRetries -= 1
      return this.pause(START_RETRY_MS)
    }
    // Said once per absence, not once a second.
    if (!this.#isReported) this.log.warn({ etcd: this.address.name }, `etcd is away: ${reason}`)
    this.#isReported = true
    await this.pause(RETRY_MS)
  }
}
