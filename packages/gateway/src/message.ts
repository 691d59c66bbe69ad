const FIN = 0x80
const TEXT = 1
const BINARY = 2

/** A message on its way to one client or many: framed when the first of them needs it, and only once. */
export class OutgoingMessage {
  readonly body: Buffer
  readonly isBinary: boolean
  readonly isRaw: boolean
  #frame: Buffer | undefined
  #ownBody: Buffer | undefined

  /** `isRaw`: the body already is what the client's protocol wants. `body` may be a view: it is copied when it is used. */
  constructor(body: Buffer, isBinary: boolean, isRaw: boolean) {
    this.body = body
    this.isBinary = isBinary
    this.isRaw = isRaw
  }

  /** The body, safe to keep beyond this turn. */
  get ownBody(): Buffer {
    this.#ownBody ??= Buffer.from(this.body)
    return this.#ownBody
  }

  /** The bytes for the client's socket. */
  get frame(): Buffer {
    this.#frame ??= this.isRaw ? this.ownBody : frameMessage(this.body, this.isBinary)
    return this.#frame
  }
}

/** A WebSocket frame of a server: unmasked, unfragmented (RFC 6455 section 5.2). */
export function frameMessage(body: Uint8Array, isBinary: boolean): Buffer {
  const { length } = body
  const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame[0] = FIN | (isBinary ? BINARY : TEXT)
  if (headerBytes === 2) {
    frame[1] = length
  } else if (headerBytes === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeUInt32BE(0, 2)
    frame.writeUInt32BE(length, 6)
  }
  frame.set(body, headerBytes)
  return frame
}
