import { randomBytes } from 'node:crypto'

/** What a frame is (RFC 6455 section 5.2). */
export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const

/** A frame of a client, as wrong as a test asks for. */
export interface FrameParts {
  /** Where the frame is to lie about its length: the length's own bytes. */
  declared?: Buffer
  fin?: boolean
  masked?: boolean
  opcode: number
  payload?: Buffer | string
  /** The three reserved bits: 4 is RSV1, which marks a compressed message. */
  rsv?: number
}

/** A frame of a server. */
export interface ServerFrame {
  fin: boolean
  opcode: number
  payload: Buffer
  rsv: number
}

/** The bytes of a client's frame (RFC 6455 section 5.2). */
export function encodeFrame({
  declared,
  fin = true,
  masked = true,
  opcode,
  payload = '',
  rsv = 0,
}: FrameParts): Buffer {
  const body = Buffer.from(payload)
  const header = Buffer.concat([
    Buffer.of((fin ? 0x80 : 0) | (rsv << 4) | opcode),
    declared ?? encodeLength(body.length),
  ])
  if (!masked) return Buffer.concat([header, body])
  header[1]! |= 0x80
  const mask = randomBytes(4)
  for (let at = 0; at < body.length; at++) body[at]! ^= mask[at & 3]!
  return Buffer.concat([header, mask, body])
}

/** The body of a close frame (section 5.5.1). */
export function encodeClose(code: number, reason: Buffer | string = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code), Buffer.from(reason)])
}

function encodeLength(length: number): Buffer {
  if (length < 126) return Buffer.of(length)
  if (length < 65_536) return Buffer.of(126, length >> 8, length)
  const bytes = Buffer.alloc(9, 127)
  bytes.writeBigUInt64BE(BigInt(length), 1)
  return bytes
}

/** Cuts a server's bytes into frames; throws at what a server must not send (sections 5.1 and 5.2). */
export class ServerFrameReader {
  #byteLength = 0
  #chunks: Buffer[] = []
  /** How many bytes there have to be before there can be one more frame. */
  #needed = 2

  /** The frames that are complete with these bytes. */
  read(chunk: Buffer): ServerFrame[] {
    this.#chunks.push(chunk)
    this.#byteLength += chunk.length
    const frames: ServerFrame[] = []
    while (this.#byteLength >= this.#needed) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
      const header = readHeader(bytes)
      this.#chunks = [bytes]
      this.#needed = header.end
      if (bytes.length < header.end) break
      const first = bytes[0]!
      const payload = bytes.subarray(header.start, header.end)
      frames.push({ fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, payload })
      this.#chunks = [bytes.subarray(header.end)]
      this.#byteLength = bytes.length - header.end
      this.#needed = 2
    }
    return frames
  }
}

/** Where the payload of the first frame begins and ends; `end` is a lower bound as long as the length itself is incomplete. */
function readHeader(bytes: Buffer): { end: number; start: number } {
  const short = bytes[1]!
  if (short >= 0x80) throw new Error('a server must not mask its frames')
  if (short < 126) return { start: 2, end: 2 + short }
  const start = short === 126 ? 4 : 10
  if (bytes.length < start) return { start, end: start }
  const length = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (length < (short === 126 ? 126 : 65_536))
    throw new Error(`a length of ${length} is not encoded as short as it can be`)
  return { start, end: start + length }
}
