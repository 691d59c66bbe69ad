const FIN = 0x80
const OPCODE = 0x0f
const CLOSE = 8
const MASKED = 0x80
const MASK_BYTES = 4

/**
 * Counts the frames of a client's WebSocket before ws reads them, by their headers alone (RFC 6455 section 5.2): ws tells of whole messages
 * only, and one may come in thousands of frames. It judges nothing: what breaks the protocol is for ws to find.
 */
export class WebSocketMeter {
  /** Of the bytes that `take` has taken last: frames that end in them. */
  frames = 0
  /** Of these: those that are not the end of a message, nor control frames. */
  fragments = 0
  /** Where the message that `heldBytes` are of begins in them; 0 if it began before. */
  heldFrom = 0
  /** Bytes since the end of the last message; 0 if none has begun. Control frames between its fragments count, as they come out of the same buffers. */
  heldBytes = 0
  /** Whether a close frame has come: nothing after it counts. */
  isClosed = false
  /** Of the bytes that `take` has taken last: messages that end in them. */
  messages = 0
  /** What the frame's header has said so far. */
  #first = 0
  #extendedLeft = 0
  #length = 0
  #state: 'first' | 'second' | 'extended' | 'payload' = 'first'
  #isFragmented = false

  /** Reads on, up to the end of so many frames or messages; returns how many bytes that are. */
  take(chunk: Buffer, maxFrames: number, maxMessages = Number.POSITIVE_INFINITY): number {
    const { length } = chunk
    let at = 0
    let cleanAt = this.heldBytes === 0 ? 0 : -1
    this.frames = 0
    this.fragments = 0
    this.messages = 0
    while (at < length && this.frames < maxFrames && this.messages < maxMessages && !this.isClosed) {
      switch (this.#state) {
        case 'first':
          this.#first = chunk[at]!
          this.#state = 'second'
          at += 1
          continue
        case 'second':
          this.#onSecond(chunk[at]!)
          at += 1
          break
        case 'extended':
          this.#length = this.#length * 256 + chunk[at]!
          this.#extendedLeft -= 1
          at += 1
          if (this.#extendedLeft > 0) continue
          this.#length += MASK_BYTES
          this.#state = 'payload'
          break
        default: {
          const taken = Math.min(this.#length, length - at)
          this.#length -= taken
          at += taken
        }
      }
      if (this.#state !== 'payload' || this.#length > 0) continue
      this.#state = 'first'
      this.#onFrame()
      if (!this.#isFragmented) cleanAt = at
    }
    this.heldFrom = Math.max(cleanAt, 0)
    this.heldBytes = cleanAt === -1 ? this.heldBytes + at : at - cleanAt
    return at
  }

  #onSecond(byte: number): void {
    const length = byte & ~MASKED
    this.#extendedLeft = length === 126 ? 2 : length === 127 ? 8 : 0
    this.#length = this.#extendedLeft > 0 ? 0 : length + ((byte & MASKED) === 0 ? 0 : MASK_BYTES)
    this.#state = this.#extendedLeft > 0 ? 'extended' : 'payload'
  }

  #onFrame(): void {
    const opcode = this.#first & OPCODE
    this.frames += 1
    if (opcode === CLOSE) this.isClosed = true
    if (opcode >= CLOSE) return
    this.#isFragmented = (this.#first & FIN) === 0
    if (this.#isFragmented) this.fragments += 1
    else this.messages += 1
  }
}
