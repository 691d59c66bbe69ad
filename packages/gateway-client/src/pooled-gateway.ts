import {
  type Credentials,
  Dialer,
  type GatewayLink,
  GatewayWorkerError,
  gatewayKey,
  type Hello,
  type LinkHandler,
  type Log,
} from '@gatewayworker/protocol'
import { WatchedUids } from './watched-uids.ts'

export interface PooledGatewayOptions extends Omit<Credentials, 'secretKey'> {
  bufferSizeBytes?: number
  hello: Hello
  linkTimeoutMs?: number
  log: Log
  /** Called when the link is down, after `link` was cleared. */
  onDown(gateway: PooledGateway): void
  /** Called at each new link; gets everything that comes on it. `peerInstance` changes when the gateway was restarted. */
  onUp(gateway: PooledGateway, link: GatewayLink, peerInstance: string | undefined): LinkHandler
  persistent: boolean
}

interface Waiter {
  resolve(link: GatewayLink | undefined): void
  reject(error: GatewayWorkerError): void
}

/** One gateway and the link to it, which is dialled again whenever it breaks. */
export class PooledGateway {
  /** "IPv4:LAN port" as the register tells it. */
  readonly address: string
  /** What all client ids of this gateway begin with. */
  readonly key: string
  /** Which uids it may hold. */
  readonly uids = new WatchedUids()
  /** The link while it is up. */
  link: GatewayLink | undefined
  readonly #dialer: Dialer
  #downSince = performance.now()
  #lastError: GatewayWorkerError | undefined
  #waiters = new Set<Waiter>()

  /** Throws a TypeError if the address is no "IPv4:port". */
  constructor(address: string, options: PooledGatewayOptions) {
    const { log, onDown, onUp } = options
    this.address = address
    this.key = gatewayKey(address)
    const [host = '', port] = address.split(':')
    this.#dialer = new Dialer({
      ...options,
      host,
      port: Number(port),
      onUp: (link, peerInstance) => {
        this.link = link
        const handler = onUp(this, link, peerInstance)
        for (const waiter of this.#waiters) waiter.resolve(link)
        return handler
      },
      onDown: (error, retryMs) => {
        const wasUp = this.link !== undefined
        if (wasUp) this.#downSince = performance.now()
        if (error.code === 'LINK_CLOSED' && error.cause === undefined) {
          log.info({ gateway: address }, 'a gateway has ended the link')
        } else if (wasUp || this.#lastError?.code !== error.code) {
          log.warn({ gateway: address, code: error.code, retryMs }, `no link to a gateway: ${error.message}`)
        }
        this.#lastError = error
        this.link = undefined
        this.uids.forget()
        if (isForGood(error)) for (const waiter of this.#waiters) waiter.reject(error)
        onDown(this)
      },
    })
  }

  /** Why there is no link, in words; undefined while there is one. */
  get problem(): string | undefined {
    return this.link === undefined ? `no link to the gateway ${this.address}: ${this.#reason.message}` : undefined
  }

  /**
   * The link, now or as soon as it is up; nothing if the gateway leaves the cluster meanwhile. Rejects with the reason
   * when the link has been down for `deadlineMs`: who comes later than that does not wait at all. Nor does anyone while the secret is wrong.
   */
  whenUp(deadlineMs: number): Promise<GatewayLink | undefined> {
    if (this.link !== undefined) return Promise.resolve(this.link)
    if (isForGood(this.#reason)) return Promise.reject(this.#reason)
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (link) => {
          this.#forget(waiter, timer)
          resolve(link)
        },
        reject: (error) => {
          this.#forget(waiter, timer)
          reject(error)
        },
      }
      const leftMs = Math.max(0, this.#downSince + deadlineMs - performance.now())
      const timer = setTimeout(() => waiter.reject(this.#reason), leftMs)
      this.#waiters.add(waiter)
    })
  }

  /** Ends the link after its output, for good. */
  close(): void {
    this.#dialer.close()
    for (const waiter of this.#waiters) waiter.resolve(undefined)
  }

  get #reason(): GatewayWorkerError {
    return this.#lastError ?? new GatewayWorkerError('HELLO_TIMEOUT', `${this.address} has not answered yet`)
  }

  #forget(waiter: Waiter, timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    this.#waiters.delete(waiter)
  }
}

/** Whether waiting mends nothing. */
function isForGood({ code }: GatewayWorkerError): boolean {
  return code === 'WRONG_SECRET' || code === 'WRONG_VERSION'
}
