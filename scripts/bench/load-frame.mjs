// What the load generator writes: masked client frames (RFC 6455, section 5.2). The mask key is 0, which every server
// has to accept and which leaves the payload as it is.
const MASK_BIT = 0x80
const MASK_KEY_BYTES = 4
const SEQUENCE_DIGITS = 8
const SENDER_DIGITS = 5

/** The opcodes of RFC 6455, section 5.2, with the FIN bit set: the first byte of the frames that a server sends us. */
export const FirstByte = /** @type {const} */ ({ TEXT: 0x81, CLOSE: 0x88, PING: 0x89, PONG: 0x8a })

/** The bytes of one masked frame around `payload`, a Buffer of at most 65 535 bytes. */
export function encodeClientFrame(firstByte, payload) {
  const isShort = payload.length < 126
  const header = Buffer.alloc(2 + (isShort ? 0 : 2) + MASK_KEY_BYTES)
  header[0] = firstByte
  header[1] = MASK_BIT | (isShort ? payload.length : 126)
  if (!isShort) header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}

/**
 * A JSON message of an exact size that names its sender and its sequence number in fixed places, so that a received
 * one is identified without decoding it: `{…fields,"data":"@SSSSSNNNNNNNNxxxx"}`.
 */
export class NumberedMessage {
  /** The payload's size in bytes. */
  sizeBytes
  #expected
  #frame
  #headerBytes
  #senderAt

  /** Throws a RangeError when the fields alone are larger than `sizeBytes`. */
  constructor(fields, sizeBytes) {
    const digits = '0'.repeat(SENDER_DIGITS + SEQUENCE_DIGITS)
    const bare = JSON.stringify({ ...fields, data: `@${digits}` })
    if (bare.length > sizeBytes) throw new RangeError(`A ${fields.type} message has at least ${bare.length} bytes.`)
    const payload = Buffer.from(JSON.stringify({ ...fields, data: `@${digits}${'x'.repeat(sizeBytes - bare.length)}` }))
    this.sizeBytes = payload.length
    this.#expected = Buffer.from(payload)
    this.#frame = encodeClientFrame(FirstByte.TEXT, payload)
    this.#headerBytes = this.#frame.length - payload.length
    this.#senderAt = payload.indexOf('@') + 1
  }

  /** The frames of `count` messages with consecutive numbers, in one new Buffer. */
  encodeFrames(sender, firstSequence, count) {
    const frameBytes = this.#frame.length
    const bytes = Buffer.allocUnsafe(frameBytes * count)
    for (let i = 0; i < count; i++) {
      const start = i * frameBytes
      bytes.set(this.#frame, start)
      this.#writeNumbers(bytes, start + this.#headerBytes, sender, firstSequence + i)
    }
    return bytes
  }

  /** The sequence number of the payload that starts at `start`; garbage comes out as some other number. */
  readSequence(bytes, start) {
    let sequence = 0
    const from = start + this.#senderAt + SENDER_DIGITS
    for (let at = from; at < from + SEQUENCE_DIGITS; at++) sequence = sequence * 10 + bytes[at] - 48
    return sequence
  }

  /** Whether the payload from `start` to `end` is, byte for byte, this sender's message with this number. */
  matches(bytes, start, end, sender, sequence) {
    this.#writeNumbers(this.#expected, 0, sender, sequence)
    return this.#expected.compare(bytes, start, end) === 0
  }

  #writeNumbers(bytes, payloadStart, sender, sequence) {
    const senderEnd = payloadStart + this.#senderAt + SENDER_DIGITS
    writeDigits(bytes, senderEnd, SENDER_DIGITS, sender)
    writeDigits(bytes, senderEnd + SEQUENCE_DIGITS, SEQUENCE_DIGITS, sequence)
  }
}

/** Writes `value` as exactly `width` decimal digits that end before `end`. */
function writeDigits(bytes, end, width, value) {
  let rest = value
  for (let at = end - 1; at >= end - width; at--) {
    const quotient = Math.trunc(rest / 10)
    bytes[at] = 48 + rest - quotient * 10
    rest = quotient
  }
}
