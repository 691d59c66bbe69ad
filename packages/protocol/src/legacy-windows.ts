import type { Frame } from './frame.ts'

/** Events of one client that a worker may have unacknowledged. */
const WINDOW_EVENTS = 64
/** The same in bytes; one event may be under way however long it is. */
const WINDOW_BYTES = 256 * 1024
const PAIR_BYTES = 8

/** What one client has under way, and what waits for room. */
interface ClientWindow {
  /** Events that were acknowledged. */
  handled: number
  /** Lengths of those that were handed on and are not acknowledged, the oldest first. */
  readonly underWay: number[]
  underWayBytes: number
  readonly waiting: Frame[]
}

/**
 * Credit per client where a gateway has none: a PHP gateway tells everything at once, so what goes beyond a client's window waits here,
 * and only the link as a whole can be held back.
 *
 * Invariants: the events of a client are handed on in order; a client has at most its window under way; cost follows those who speak.
 */
export class LegacyWindows {
  /** What waits, in bytes. */
  waitingBytes = 0
  readonly #clients = new Map<number, ClientWindow>()
  readonly #eventsBefore: number
  readonly #handOn: (event: Frame) => void

  /** The first event of each client has the number after `eventsBefore`. */
  constructor(eventsBefore: number, handOn: (event: Frame) => void) {
    this.#eventsBefore = eventsBefore
    this.#handOn = handOn
  }

  /** Hands an event on, now or when its client's window has room. */
  push(event: Frame): void {
    const { connectionId } = event
    let client = this.#clients.get(connectionId)
    if (client === undefined) {
      client = { handled: 0, underWay: [], underWayBytes: 0, waiting: [] }
      this.#clients.set(connectionId, client)
    }
    if (client.waiting.length === 0 && isOpen(client, event)) {
      this.#pass(client, event)
      return
    }
    client.waiting.push(event.copy())
    this.waitingBytes += event.length
  }

  /** Pairs of connection and number, as in ACKNOWLEDGE. */
  acknowledge(pairs: Buffer): void {
    for (let at = 0; at + PAIR_BYTES <= pairs.length; at += PAIR_BYTES) {
      const client = this.#clients.get(pairs.readUInt32BE(at))
      if (client !== undefined) this.#onHandled(client, pairs.readUInt32BE(at + 4))
    }
  }

  /** The client's last event was handed on. */
  delete(connectionId: number): void {
    this.#clients.delete(connectionId)
  }

  /** Hands on all that waits of a client whose number a new client has. */
  release(connectionId: number): void {
    const client = this.#clients.get(connectionId)
    if (client === undefined) return
    for (const event of client.waiting.splice(0)) this.#take(client, event)
    this.#clients.delete(connectionId)
  }

  #onHandled(client: ClientWindow, number: number): void {
    const count = (number - this.#eventsBefore - client.handled) >>> 0
    if (count > client.underWay.length) return // said before
    client.handled += count
    for (const bytes of client.underWay.splice(0, count)) client.underWayBytes -= bytes
    let passed = 0
    while (passed < client.waiting.length && isOpen(client, client.waiting[passed]!)) {
      this.#take(client, client.waiting[passed]!)
      passed += 1
    }
    client.waiting.splice(0, passed)
  }

  #take(client: ClientWindow, event: Frame): void {
    this.waitingBytes -= event.length
    this.#pass(client, event)
  }

  #pass(client: ClientWindow, event: Frame): void {
    client.underWay.push(event.length)
    client.underWayBytes += event.length
    this.#handOn(event)
  }
}

function isOpen({ underWay, underWayBytes }: ClientWindow, event: Frame): boolean {
  return underWay.length === 0 || (underWay.length < WINDOW_EVENTS && underWayBytes + event.length <= WINDOW_BYTES)
}
