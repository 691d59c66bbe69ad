import { Flag, type GatewayLink, GatewayWorkerError, HEADER_BYTES, payloadBytes } from '@gatewayworker/protocol'

/** A command to gateways. Every order has all fields, so that all have one shape and sending one is quick. */
export interface Order {
  readonly body: Uint8Array | string
  readonly command: number
  readonly connectionId: number
  readonly ext: Uint8Array | string
  readonly flag: number
}

/** What a queue needs of a link. */
export type QueueLink = Pick<GatewayLink, 'bufferedBytes' | 'isFull' | 'send'>

export interface OrderQueueOptions {
  /** "IPv4:LAN port" of the gateway, for errors. */
  address: string
  /** Bytes that may wait on the link, and as many again that may wait for room there, or for a link. */
  bufferSizeBytes: number
  /** How long an order may wait for a link, in milliseconds from when that went down. */
  deadlineMs: number
}

/** What is done with an order when its turn has come. */
type Start<L, T> = (link: L, order: Order, ext: Order['ext']) => T | Promise<T>

interface Waiting {
  readonly bytes: number
  /** Whether it makes sense on the link of now only, and waits as long as that lasts. */
  readonly isOfLink: boolean
  readonly since: number
  /** Without an error the gateway has left the cluster. */
  giveUp(error: GatewayWorkerError | undefined): void
  start(): void
}

/** How long an order may wait for room on a link that is up. */
const ROOM_MS = 500
/** What an order that waits takes beside its payload: a promise and closures. */
const OVERHEAD_BYTES = 512
/** How exactly the time is kept of orders that wait. */
const CHECK_MS = 20
/** Longer times overflow setTimeout. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The orders to one gateway, in the order of the calls, through breaks of its link.
 *
 * ```
 * link up, room, nobody waits ─▶ on the link at once
 * link up and full ───────────▶ waits for room for half a second; rejected at once while the gateway has taken nothing for that long
 * link in doubt ──────────────▶ waits until the gateway has answered on it, or for the next link
 * link down ──────────────────▶ waits for a link until the deadline, which counts from when it went down
 * ```
 * Invariants: orders start in the order in which they were given; what waits when a link comes up starts in that turn, before anything that is given
 * later; each order starts once, or its promise rejects, never both; what waits has at most `bufferSizeBytes` and one order more, whether its callers
 * await it or not, and one timer for all; what is on a link is lost only with that link. What is about the link itself, and a worker's changes of
 * the sessions that it serves by it, wait as long as it lasts, however many they are.
 */
export class OrderQueue<L extends QueueLink = GatewayLink> {
  readonly #options: OrderQueueOptions
  #closedError: GatewayWorkerError | undefined
  #doubtSince: number | undefined
  #downSince = performance.now()
  #isClosed = false
  /** Whether waiting for a link is of no use. */
  #isForGood = false
  /** Whether the link was full for `ROOM_MS` and took nothing. */
  #isStuck = false
  #link: L | undefined
  #onStarted: (() => void) | undefined
  #progressAt = 0
  #reason: GatewayWorkerError
  #timer: NodeJS.Timeout | undefined
  #waiting: Waiting[] = []
  #waitingBytes = 0

  constructor(options: OrderQueueOptions) {
    this.#options = options
    this.#reason = new GatewayWorkerError('HELLO_TIMEOUT', `${options.address} has not answered yet`)
  }

  /** Why the link is down, while it is. */
  get reason(): GatewayWorkerError {
    return this.#reason
  }

  /** Bytes that wait and are not on a link. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /**
   * Sends an order, `ext` in place of its own. Nothing comes back if it is on the link; else a promise that resolves when it is, or when the gateway has
   * left the cluster, and rejects with the reason if neither happens in time. Throws FRAME_TOO_LONG.
   */
  send(order: Order, ext: Order['ext']): Promise<void> | undefined {
    if (!this.#isOpen) return this.#wait(order, ext, sendOrder)
    sendOrder(this.#link!, order, ext)
    return undefined
  }

  /** The same for an order with a result: what `start` makes of it when its turn has come. Undefined if the gateway has left the cluster. */
  async ask<T>(order: Order, ext: Order['ext'], start: Start<L, T>): Promise<T | undefined> {
    return this.#isOpen ? start(this.#link!, order, ext) : this.#wait(order, ext, start)
  }

  /** Sends an order that makes sense on this link only: behind all that waits, and however much that is. It is dropped with the link. */
  sendOnLink(order: Order): void {
    if (this.#link === undefined) return
    if (this.#waiting.length === 0 && this.#doubtSince === undefined) {
      sendOrder(this.#link, order, order.ext)
      return
    }
    const start = () => sendOrder(this.#link!, order, order.ext)
    this.#push({ bytes: bytesOf(order, order.ext), giveUp: () => {}, isOfLink: true, since: performance.now(), start })
  }

  /** There is a link: what waits leaves by it. */
  onUp(link: L): void {
    this.#link = link
    this.#isForGood = false
    this.#startWaiting()
  }

  /** The link is down, or could not be made. */
  onDown(reason: GatewayWorkerError, isForGood: boolean): void {
    if (this.#link !== undefined) this.#onLost(reason)
    this.#reason = reason
    this.#isForGood = isForGood
    this.#rejectLate()
  }

  /** Some of what was on the link has left. */
  onProgress(): void {
    this.#progressAt = performance.now()
    this.#isStuck = false
    if (this.#waiting.length > 0) this.#startWaiting()
  }

  /**
   * The gateway may have given the link up without our hearing of it. `prove` resolves when it has answered on this link, and rejects when it has not
   * in time.
   */
  async doubt(prove: (link: L) => Promise<unknown>): Promise<void> {
    const link = this.#link
    if (link === undefined || this.#doubtSince !== undefined) return
    this.#doubtSince = performance.now()
    this.#arm()
    while (this.#link === link) {
      try {
        await prove(link)
      } catch (error) {
        if ((error as GatewayWorkerError).code === 'QUESTION_TIMED_OUT') continue
        return // the link is about to end
      }
      if (this.#link !== link) return
      this.#doubtSince = undefined
      this.#startWaiting()
      return
    }
  }

  /** Nothing if no order waits for room on the link, else a promise that resolves when none does any more. */
  whenStarted(): Promise<void> | undefined {
    if (!this.#waitsForRoom) return undefined
    return new Promise((resolve) => {
      this.#onStarted = resolve
    })
  }

  /** Nothing leaves any more: what waits is rejected with the error, or, without one, resolves as the gateway has left the cluster. */
  close(error: GatewayWorkerError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closedError = error
    this.#link = undefined
    clearTimeout(this.#timer)
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const { giveUp } of waiting) giveUp(error)
  }

  get #waitsForRoom(): boolean {
    return this.#waiting.length > 0 && this.#link !== undefined && this.#doubtSince === undefined
  }

  get #isOpen(): boolean {
    const link = this.#link
    if (link === undefined || this.#waiting.length > 0 || this.#doubtSince !== undefined) return false
    return !link.isFull || link.bufferedBytes < this.#options.bufferSizeBytes
  }

  #wait<T>(order: Order, ext: Order['ext'], start: Start<L, T>): Promise<T | undefined> {
    if (this.#isClosed) {
      return this.#closedError === undefined ? Promise.resolve(undefined) : Promise.reject(this.#closedError)
    }
    const now = performance.now()
    // A worker's copy of a session waits to hear from this gateway that the change was carried out.
    const isOfLink = this.#link !== undefined && (order.flag & Flag.OWN_CHANGE) !== 0
    if (!isOfLink) {
      if (this.#isStuck || this.#deadlineOf(now) <= now) return Promise.reject(this.#whyLate())
      if (this.#waitingBytes >= this.#options.bufferSizeBytes) return Promise.reject(this.#whyFull())
    }
    const kept = withOwnBody(order)
    return new Promise<T | undefined>((resolve, reject) => {
      this.#push({
        bytes: OVERHEAD_BYTES + bytesOf(order, ext),
        giveUp: (error) => (error === undefined ? resolve(undefined) : reject(error)),
        isOfLink,
        since: now,
        start: () => {
          try {
            resolve(start(this.#link!, kept, ext))
          } catch (error) {
            reject(error)
          }
        },
      })
    })
  }

  #push(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#waitingBytes += waiting.bytes
    if (this.#timer === undefined) this.#arm()
  }

  #startWaiting(): void {
    const link = this.#link
    let count = 0
    if (link !== undefined && this.#doubtSince === undefined) {
      const { bufferSizeBytes } = this.#options
      for (; count < this.#waiting.length && link.bufferedBytes < bufferSizeBytes; count += 1) {
        const waiting = this.#waiting[count]!
        this.#waitingBytes -= waiting.bytes
        waiting.start()
      }
    }
    this.#waiting.splice(0, count)
    this.#arm()
  }

  #onLost(reason: GatewayWorkerError): void {
    // Then it has been away for longer than anybody waits.
    const wasAway = this.#doubtSince === undefined && (this.#isStuck || reason.code === 'LINK_TIMED_OUT')
    this.#downSince = wasAway ? Number.NEGATIVE_INFINITY : performance.now()
    this.#doubtSince = undefined
    this.#isStuck = false
    this.#link = undefined
    for (const { giveUp } of this.#takeOut(({ isOfLink }) => isOfLink)) giveUp(reason)
  }

  /** When an order that has waited since then is given up. */
  #deadlineOf(since: number): number {
    const { deadlineMs } = this.#options
    if (this.#link === undefined) return this.#isForGood ? Number.NEGATIVE_INFINITY : this.#downSince + deadlineMs
    return this.#doubtSince === undefined ? since + ROOM_MS : this.#doubtSince + deadlineMs
  }

  #whyLate(): GatewayWorkerError {
    if (this.#link === undefined) return this.#reason
    if (this.#doubtSince === undefined) return this.#whyFull()
    const { address } = this.#options
    return new GatewayWorkerError('QUESTION_TIMED_OUT', `${address} has not answered since this process stood still`)
  }

  #whyFull(): GatewayWorkerError {
    if (this.#link === undefined) return this.#reason
    const { address, bufferSizeBytes } = this.#options
    const words = `${address} takes less than it is sent: ${bufferSizeBytes} bytes wait for it, and there is no room for more`
    return new GatewayWorkerError('QUEUE_FULL', words)
  }

  readonly #rejectLate = (): void => {
    const now = performance.now()
    const first = this.#waiting.find(({ isOfLink }) => !isOfLink)
    if (first !== undefined && this.#deadlineOf(first.since) <= now) {
      const isForRoom = this.#link !== undefined && this.#doubtSince === undefined
      if (isForRoom && this.#progressAt <= first.since) this.#isStuck = true
      const why = this.#whyLate()
      const late = this.#takeOut(({ isOfLink, since }) => !isOfLink && this.#deadlineOf(since) <= now)
      for (const { giveUp } of late) giveUp(why)
    }
    this.#arm()
  }

  #takeOut(fits: (waiting: Waiting) => boolean): Waiting[] {
    const taken = this.#waiting.filter(fits)
    if (taken.length === 0) return taken
    this.#waiting = this.#waiting.filter((waiting) => !fits(waiting))
    this.#waitingBytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    return taken
  }

  /** The timer is for the one that has waited longest: the others of that time go with it. */
  #arm(): void {
    if (this.#onStarted !== undefined && !this.#waitsForRoom) this.#onStarted()
    clearTimeout(this.#timer)
    this.#timer = undefined
    const first = this.#waiting.find(({ isOfLink }) => !isOfLink)
    if (first === undefined) return
    const leftMs = this.#deadlineOf(first.since) - performance.now()
    this.#timer = setTimeout(this.#rejectLate, Math.min(Math.max(leftMs, CHECK_MS), MAX_TIMER_MS))
  }
}

function sendOrder(link: QueueLink, { body, command, connectionId, flag }: Order, ext: Order['ext']): void {
  link.send(command, connectionId, flag, ext, body)
}

function bytesOf({ body }: Order, ext: Order['ext']): number {
  return HEADER_BYTES + payloadBytes(ext) + payloadBytes(body)
}

/** Bytes that the caller may write over while the order waits are copied. */
function withOwnBody(order: Order): Order {
  return typeof order.body === 'string' || order.body.length === 0 ? order : { ...order, body: Buffer.from(order.body) }
}
