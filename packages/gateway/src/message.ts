/** How a message looks on the wire of a protocol. The same function for all who speak it, so that a message is framed once for them. */
export type Framing = (body: Buffer, isBinary: boolean) => Buffer

/** A message on its way to one client or many: framed when the first of them needs it, and only once. */
export class OutgoingMessage {
  readonly body: Buffer
  readonly isBinary: boolean
  readonly isRaw: boolean
  #frame: Buffer | undefined
  #framing: Framing | undefined
  #otherFrame: Buffer | undefined
  #otherFraming: Framing | undefined
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

  /** The bytes for the sockets of those who speak a protocol. It remembers two, as many as one port has: WebSocket and event streams. */
  framedBy(framing: Framing): Buffer {
    if (framing === this.#framing) return this.#frame!
    if (framing === this.#otherFraming) return this.#otherFrame!
    this.#otherFraming = this.#framing
    this.#otherFrame = this.#frame
    this.#framing = framing
    this.#frame = this.isRaw ? this.ownBody : framing(this.body, this.isBinary)
    return this.#frame
  }
}
