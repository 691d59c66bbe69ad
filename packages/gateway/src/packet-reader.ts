import { EMPTY } from '@gatewayworker/protocol'

/** How long the packet is that a buffer begins with; 0 if that cannot be told yet, anything else if it begins with none. */
export type MeasurePacket = (buffer: Buffer, seen: number) => number

/** What has come is no packet, or a longer one than is taken. */
export class PacketError extends Error {}

/**
 * Cuts a stream of bytes into packets, however it was split on its way.
 *
 * Invariants: a byte is copied a bounded number of times; `measure` is told how much of what it is shown it has seen before; a length is
 * checked before anything is kept for it; what is kept is at most four times what has come and was not taken.
 */
export class PacketReader {
  readonly #maxBytes: number
  readonly #measure: MeasurePacket
  /** What has come and was not taken is in `#store` from `#start` to `#end`. A chunk that is kept as it came has no room behind `#end`. */
  #store: Buffer = EMPTY
  #start = 0
  #end = 0
  /** The length of the packet that begins at `#start`; 0 if it is not known. */
  #length = 0
  /** How much of what begins at `#start` was measured in vain. */
  #seen = 0

  constructor(measure: MeasurePacket, maxBytes: number) {
    this.#measure = measure
    this.#maxBytes = maxBytes
  }

  /** How much has come and was not taken. */
  get length(): number {
    return this.#end - this.#start
  }

  /** Puts a chunk behind what has come. The chunk is the reader's from now on. */
  push(chunk: Buffer): void {
    if (this.#start === this.#end) {
      this.#keep(chunk)
      return
    }
    if (this.#end + chunk.length > this.#store.length) this.#grow(chunk.length)
    this.#store.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** The next packet, as a view that nothing is written over; undefined if more has to come. Throws a PacketError, or what `measure` throws. */
  next(): Buffer | undefined {
    const left = this.#end - this.#start
    if (this.#length === 0 && left > this.#seen) this.#measureNext(left)
    if (this.#length === 0 || this.#length > left) {
      // A few bytes do not keep a large buffer alive.
      if (left * 2 < this.#store.length) this.#keep(Buffer.from(this.#store.subarray(this.#start, this.#end)))
      return undefined
    }
    const packet = this.#store.subarray(this.#start, this.#start + this.#length)
    this.#start += this.#length
    this.#length = 0
    this.#seen = 0
    return packet
  }

  /** Everything that has come and was not taken; the reader is as new. */
  takeRest(): Buffer {
    const rest = this.#store.subarray(this.#start, this.#end)
    this.#keep(EMPTY)
    this.#length = 0
    this.#seen = 0
    return rest
  }

  #measureNext(left: number): void {
    const length = this.#measure(this.#store.subarray(this.#start, this.#end), this.#seen)
    if (length === 0) {
      if (left >= this.#maxBytes) throw new PacketError(`a packet has no end within ${this.#maxBytes} bytes`)
      this.#seen = left
      return
    }
    if (!Number.isSafeInteger(length) || length < 0) throw new PacketError('what came is no packet')
    if (length > this.#maxBytes) {
      throw new PacketError(`a packet of ${length} bytes is longer than the ${this.#maxBytes} that are taken`)
    }
    this.#length = length
  }

  #keep(store: Buffer): void {
    this.#store = store
    this.#start = 0
    this.#end = store.length
  }

  /** Makes room behind what is there: for as much again, so that many small chunks are not copied over and over. */
  #grow(extraBytes: number): void {
    const left = this.#end - this.#start
    const store = Buffer.allocUnsafe((left + extraBytes) * 2)
    store.set(this.#store.subarray(this.#start, this.#end))
    this.#store = store
    this.#start = 0
    this.#end = left
  }
}
