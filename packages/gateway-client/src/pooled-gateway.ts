import {
  Command,
  type Credentials,
  Dialer,
  type GatewayLink,
  type GatewayWorkerError,
  gatewayKey,
  type Hello,
  type LinkHandler,
  type Log,
} from '@gatewayworker/protocol'
import { OrderQueue } from './order-queue.ts'
import { WatchedUids } from './watched-uids.ts'

export interface PooledGatewayOptions extends Omit<Credentials, 'secretKey'> {
  bufferSizeBytes: number
  /** How long orders and questions may wait for the gateway, in milliseconds. */
  deadlineMs: number
  hello: Hello
  linkTimeoutMs?: number
  log: Log
  /** Called when the link is down, after `link` was cleared. */
  onDown(gateway: PooledGateway): void
  /** Called at each new link; gets everything that comes on it. `peerInstance` changes when the gateway was restarted. */
  onUp(gateway: PooledGateway, link: GatewayLink, peerInstance: string | undefined): LinkHandler
  persistent: boolean
}

/** One gateway, the link to it, which is dialled again whenever it breaks, and the queue of what is for it. */
export class PooledGateway {
  /** "IPv4:LAN port" as the register tells it. */
  readonly address: string
  /** What all client ids of this gateway begin with. */
  readonly key: string
  /** What is for the gateway; all but what is about the link itself goes through it. */
  readonly orders: OrderQueue
  /** Which uids it may hold. */
  readonly uids = new WatchedUids()
  /** The link while it is up. */
  link: GatewayLink | undefined
  readonly #deadlineMs: number
  readonly #dialer: Dialer
  #lastError: GatewayWorkerError | undefined

  /** Throws a TypeError if the address is no "IPv4:port". */
  constructor(address: string, options: PooledGatewayOptions) {
    const { bufferSizeBytes, deadlineMs, log, onDown, onUp } = options
    this.address = address
    this.key = gatewayKey(address)
    this.orders = new OrderQueue({ address, bufferSizeBytes, deadlineMs })
    this.#deadlineMs = deadlineMs
    const [host = '', port] = address.split(':')
    this.#dialer = new Dialer({
      ...options,
      host,
      port: Number(port),
      onUp: (link, peerInstance) => {
        this.link = link
        const handler = onUp(this, link, peerInstance)
        // Before the first frame is handed on, and a handler can answer it.
        this.orders.onUp(link)
        return { ...handler, onProgress: () => this.orders.onProgress() }
      },
      onDown: (error, retryMs) => {
        const wasUp = this.link !== undefined
        if (error.code === 'LINK_CLOSED' && error.cause === undefined) {
          log.info({ gateway: address }, 'a gateway has ended the link')
        } else if (wasUp || this.#lastError?.code !== error.code) {
          log.warn({ gateway: address, code: error.code, retryMs }, `no link to a gateway: ${error.message}`)
        }
        this.#lastError = error
        this.link = undefined
        this.uids.forget()
        this.orders.onDown(error, isForGood(error))
        onDown(this)
      },
    })
  }

  /** Why there is no link, in words; undefined while there is one. */
  get problem(): string | undefined {
    return this.link === undefined ? `no link to the gateway ${this.address}: ${this.orders.reason.message}` : undefined
  }

  /** This process stood still for so long that the gateway may have given the link up: nothing counts as sent before it has answered. */
  doubtLink(): void {
    this.uids.doubt()
    void this.orders.doubt((link) => link.ask(Command.IS_ONLINE, this.#deadlineMs))
  }

  /**
   * Ends the link after its output, and what waits for room there, for good. What waits otherwise is rejected with the error; without one it resolves, as the
   * gateway has left the cluster.
   */
  async close(error?: GatewayWorkerError, timeoutMs?: number): Promise<void> {
    const started = this.orders.whenStarted()
    if (started !== undefined) await started
    this.orders.close(error)
    await this.#dialer.close(timeoutMs)
  }
}

/** Whether waiting mends nothing. */
function isForGood({ code }: GatewayWorkerError): boolean {
  return code === 'WRONG_SECRET' || code === 'WRONG_VERSION'
}
