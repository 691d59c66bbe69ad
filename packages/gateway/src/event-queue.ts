import { Command, type CommandToWorker } from '@gatewayworker/protocol'

/** What an event carries: a message's bytes, or a value. */
export type EventBody = Uint8Array | object

/** What an event is taken to weigh beside its message, in bytes. */
const EVENT_BYTES = 128
/** What an event that is no message is taken to weigh; the only long one is a handshake. */
const VALUE_BYTES = 1024

/** An event of a client that no worker has handled yet. */
export class ClientEvent {
  readonly body: EventBody
  readonly byteLength: number
  readonly command: CommandToWorker
  readonly flag: number
  /** Workers that died while it was the client's oldest event. */
  deaths = 0
  /** The event after it. */
  next: ClientEvent | undefined
  wasTold = false

  constructor(command: CommandToWorker, flag: number, body: EventBody) {
    this.command = command
    this.flag = flag
    this.body = body
    this.byteLength = EVENT_BYTES + (command === Command.ON_MESSAGE ? (body as Uint8Array).length : VALUE_BYTES)
  }
}

/**
 * The events of one client that no worker has handled yet, oldest first: those that its worker was told, then those that wait.
 *
 * ```
 * handled … 41 │ told 42 43 44 │ waiting 45 46 …     acknowledge(43): handled … 43 │ told 44 │ waiting 45 46 …
 *              oldest          nextToTell            forgetTold():    handled … 41 │ waiting 42 43 44 45 46 …
 * ```
 * Invariants: events leave at the front only; an event's number, which is its place in the client's life, never changes.
 */
export class EventQueue {
  /** What all of them weigh, in bytes. */
  byteLength = 0
  #handled: number
  #newest: ClientEvent | undefined
  #nextToTell: ClientEvent | undefined
  #oldest: ClientEvent | undefined
  #told = 0
  #toldBytes = 0

  /** `handled`: how many events of the client went before. */
  constructor(handled = 0) {
    this.#handled = handled
  }

  /** How many events the client has left behind; the oldest here has the number after it. */
  get handledCount(): number {
    return this.#handled
  }

  get isEmpty(): boolean {
    return this.#oldest === undefined
  }

  /** Whether any worker ever heard of the client. */
  get wasEverTold(): boolean {
    return this.#handled > 0 || this.#oldest?.wasTold === true
  }

  /** The first that its worker was not told. */
  get nextToTell(): ClientEvent | undefined {
    return this.#nextToTell
  }

  get oldest(): ClientEvent | undefined {
    return this.#oldest
  }

  /** How many its worker was told and has not acknowledged. */
  get toldCount(): number {
    return this.#told
  }

  /** What those weigh, in bytes. */
  get toldBytes(): number {
    return this.#toldBytes
  }

  push(event: ClientEvent): void {
    this.byteLength += event.byteLength
    if (this.#newest === undefined) this.#oldest = event
    else this.#newest.next = event
    this.#newest = event
    this.#nextToTell ??= event
  }

  /** Its worker is being told the next one. */
  tellNext(): void {
    const event = this.#nextToTell!
    event.wasTold = true
    this.#nextToTell = event.next
    this.#told += 1
    this.#toldBytes += event.byteLength
  }

  /**
   * All told events up to a number, of which only the low 32 bits are given, are handled; a number that was acknowledged before, or that
   * nobody was told, changes nothing. Returns the bytes let go of.
   */
  acknowledge(number: number): number {
    const count = (number - this.#handled) >>> 0
    if (count > this.#told) return 0
    let bytes = 0
    for (let left = count; left > 0; left -= 1) bytes += this.dropOldest().byteLength
    this.#told -= count
    this.#toldBytes -= bytes
    return bytes
  }

  /** Nobody will acknowledge what was told: it waits again. */
  forgetTold(): void {
    this.#told = 0
    this.#toldBytes = 0
    this.#nextToTell = this.#oldest
  }

  /** Takes the oldest out; it must be there, and no worker be busy with it. */
  dropOldest(): ClientEvent {
    const oldest = this.#oldest!
    this.#oldest = oldest.next
    if (this.#oldest === undefined) this.#newest = undefined
    if (this.#nextToTell === oldest) this.#nextToTell = oldest.next
    this.byteLength -= oldest.byteLength
    this.#handled += 1
    return oldest
  }

  clear(): void {
    this.byteLength = 0
    this.#oldest = undefined
    this.#newest = undefined
    this.#nextToTell = undefined
    this.#told = 0
    this.#toldBytes = 0
  }
}
