/** Bytes of the header, which both dialects share (wire.md section 2). */
export const HEADER_BYTES = 28

/** The longest frame that is sent or taken unless a link says otherwise; PHP's limit too. */
export const DEFAULT_MAX_FRAME_BYTES = 10 * 1024 * 1024

export const EMPTY = Buffer.alloc(0)

/**
 * One unit on a link, seen in place: a window on the bytes that came, of which only the asked-for fields are read. Its payloads are
 * views of the received chunk: whoever keeps one beyond the call that delivered the frame copies it, or keeps the whole chunk alive.
 */
export class Frame {
  readonly #bytes: Buffer
  readonly #start: number

  /** The frame that begins at `start` of `bytes` and is complete there (the parser sees to it). */
  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes
    this.#start = start
  }

  get length(): number {
    return this.#bytes.readUInt32BE(this.#start)
  }

  get command(): number {
    return this.#bytes[this.#start + 4]!
  }

  /** Which question this is, or which one it answers; 0 where no answer is wanted. The field is local_ip in the legacy dialect. */
  get id(): number {
    return this.#bytes.readUInt32BE(this.#start + 5)
  }

  /** Where the client comes from and which port it came to; only legacy gateways say it here. */
  get origin(): FrameOrigin {
    return {
      clientIp: this.#bytes.readUInt32BE(this.#start + 11),
      clientPort: this.#bytes.readUInt16BE(this.#start + 15),
      gatewayPort: this.#bytes.readUInt16BE(this.#start + 22),
      localIp: this.id,
      localPort: this.#bytes.readUInt16BE(this.#start + 9),
    }
  }

  get connectionId(): number {
    return this.#bytes.readUInt32BE(this.#start + 17)
  }

  get flag(): number {
    return this.#bytes[this.#start + 21]!
  }

  get extLength(): number {
    return this.#bytes.readUInt32BE(this.#start + 24)
  }

  get bodyLength(): number {
    return this.length - HEADER_BYTES - this.extLength
  }

  /** The extra payload: what the command is about (a uid, a list of groups, a session). */
  get ext(): Buffer {
    const from = this.#start + HEADER_BYTES
    return this.#bytes.subarray(from, from + this.extLength)
  }

  get body(): Buffer {
    return this.#bytes.subarray(this.#start + HEADER_BYTES + this.extLength, this.#start + this.length)
  }

  /** The frame in a buffer of its own, which outlives the chunk. */
  copy(): Frame {
    return new Frame(Buffer.from(this.#bytes.subarray(this.#start, this.#start + this.length)), 0)
  }

  /** The extra payload as text. */
  get extText(): string {
    const from = this.#start + HEADER_BYTES
    return this.#bytes.toString('utf8', from, from + this.extLength)
  }

  /** The body as text. */
  get bodyText(): string {
    return this.#bytes.toString('utf8', this.#start + HEADER_BYTES + this.extLength, this.#start + this.length)
  }
}

/** The addresses in a header (wire.md section 2); IPv4 addresses are numbers, 0 for any other. */
export interface FrameOrigin {
  readonly clientIp: number
  readonly clientPort: number
  readonly gatewayPort: number
  /** The gateway's LAN address. */
  readonly localIp: number
  readonly localPort: number
}

/** What a frame is made of; what is left out is zero or empty. */
export interface FrameParts {
  command: number
  body?: Uint8Array | string
  connectionId?: number
  ext?: Uint8Array | string
  flag?: number
  id?: number
  /** Stands where the id does; only legacy peers are told. */
  origin?: FrameOrigin
}

/** Bytes that a payload takes in a frame. */
export function payloadBytes(payload: Uint8Array | string): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
}

/** Writes a frame of `length` bytes (header, ext and body together) into `target` at `offset`. */
export function writeFrame(
  target: Buffer,
  offset: number,
  length: number,
  command: number,
  connectionId: number,
  flag: number,
  ext: Uint8Array | string,
  body: Uint8Array | string,
  id: number,
  origin?: FrameOrigin,
): void {
  target.writeUInt32BE(length, offset)
  target[offset + 4] = command
  target.writeUInt32BE(id, offset + 5)
  target.fill(0, offset + 9, offset + 17)
  target.writeUInt32BE(connectionId, offset + 17)
  target[offset + 21] = flag
  target[offset + 22] = 0
  target[offset + 23] = 0
  if (origin !== undefined) writeOrigin(target, offset, origin)
  const extBytes = writePayload(target, offset + HEADER_BYTES, ext)
  target.writeUInt32BE(extBytes, offset + 24)
  writePayload(target, offset + HEADER_BYTES + extBytes, body)
}

function writeOrigin(target: Buffer, offset: number, origin: FrameOrigin): void {
  target.writeUInt32BE(origin.localIp, offset + 5)
  target.writeUInt16BE(origin.localPort, offset + 9)
  target.writeUInt32BE(origin.clientIp, offset + 11)
  target.writeUInt16BE(origin.clientPort, offset + 15)
  target.writeUInt16BE(origin.gatewayPort, offset + 22)
}

function writePayload(target: Buffer, offset: number, payload: Uint8Array | string): number {
  if (typeof payload === 'string') return payload === '' ? 0 : target.write(payload, offset)
  if (payload.length > 0) target.set(payload, offset)
  return payload.length
}

/** One frame in a buffer of its own. */
export function encodeFrame(parts: FrameParts): Buffer {
  const { command, connectionId = 0, flag = 0, ext = EMPTY, body = EMPTY, id = 0, origin } = parts
  const length = HEADER_BYTES + payloadBytes(ext) + payloadBytes(body)
  const frame = Buffer.allocUnsafe(length)
  writeFrame(frame, 0, length, command, connectionId, flag, ext, body, id, origin)
  return frame
}
