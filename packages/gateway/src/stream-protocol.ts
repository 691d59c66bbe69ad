import { isUtf8 } from 'node:buffer'
import type { ClientProtocol, ProtocolConnection } from './client-protocol.ts'
import { describeValue, letGo } from './describe-value.ts'
import type { Framing, OutgoingMessage } from './message.ts'

/** What a stream transport speaks; `input` and `decode` are those of ClientProtocol. */
export interface StreamProtocol extends Pick<ClientProtocol, 'decode' | 'input'> {
  /** The bytes of a message for a connection: the same buffer for all where it can be. May throw. */
  frame(message: OutgoingMessage, connection: ProtocolConnection): Buffer
  /** Whether bytes that `decode` returned are text; not, if it is absent. */
  isText?(body: Uint8Array): boolean
}

const CARRIAGE_RETURN = 0x0d
const NEWLINE = 0x0a
const LENGTH_BYTES = 4

/** A message a line. The line ends with \n; every \r and \n at its end is no part of the message (wire.md section 6). */
const text: StreamProtocol = {
  input: (buffer, _connection, seen) => buffer.indexOf(NEWLINE, seen) + 1,
  decode(line) {
    let end = line.length
    while (end > 0 && (line[end - 1] === NEWLINE || line[end - 1] === CARRIAGE_RETURN)) end -= 1
    return line.subarray(0, end)
  },
  frame: (message) => message.framedBy(frameLine),
  // A line that is no UTF-8 arrives as it is, rather than with its bytes replaced.
  isText: isUtf8,
}

/** Each message behind its length and that of the length itself, as a big-endian uint32. */
const frame: StreamProtocol = {
  input(buffer) {
    if (buffer.length < LENGTH_BYTES) return 0
    const length = buffer.readUInt32BE(0)
    return length < LENGTH_BYTES ? -1 : length
  },
  decode: (packet) => packet.subarray(LENGTH_BYTES),
  frame: (message) => message.framedBy(frameWithLength),
}

/** The bytes as they come, in whichever pieces. */
const tcp: StreamProtocol = {
  input: (buffer, { maxPacketBytes }) => Math.min(buffer.length, maxPacketBytes),
  decode: (bytes) => bytes,
  frame: (message) => message.ownBody,
}

/** Workerman's protocols for plain TCP, by their names. */
export const STREAM_PROTOCOLS = { frame, tcp, text } as const satisfies Record<string, StreamProtocol>

/** What a user brought. */
export function streamProtocolOf(protocol: ClientProtocol): StreamProtocol {
  const input: StreamProtocol['input'] = (buffer, connection, seen) => {
    const length = protocol.input(buffer, connection, seen)
    if (!Number.isSafeInteger(length)) throw wrongValue('input', length, 'a whole number of bytes')
    return length
  }
  const decode: StreamProtocol['decode'] = (packet, connection) => protocol.decode(packet, connection)
  if (protocol.encodesForAll !== true) {
    return {
      input,
      decode,
      frame: (message, connection) =>
        message.isRaw ? message.ownBody : toBuffer(protocol.encode(message.ownBody, connection), 'encode'),
    }
  }
  let first: ProtocolConnection
  const framing: Framing = (body) => toBuffer(protocol.encode(Buffer.from(body), first), 'encode')
  return {
    input,
    decode,
    frame(message, connection) {
      first = connection
      return message.framedBy(framing)
    },
  }
}

/** The bytes of text, or the bytes themselves, as a Buffer. Throws a TypeError for anything else that a function of the user's has returned. */
export function toBuffer(data: unknown, returnedBy: 'decode' | 'encode'): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  if (Buffer.isBuffer(data)) return data
  if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  throw wrongValue(returnedBy, data, 'a string or a Uint8Array')
}

function wrongValue(name: string, value: unknown, expected: string): TypeError {
  letGo(value)
  return new TypeError(`${name} returned ${describeValue(value)}, and not ${expected}`)
}

function frameLine(body: Buffer): Buffer {
  const line = Buffer.allocUnsafe(body.length + 1)
  line.set(body)
  line[body.length] = NEWLINE
  return line
}

function frameWithLength(body: Buffer): Buffer {
  const packet = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  packet.writeUInt32BE(packet.length)
  packet.set(body, LENGTH_BYTES)
  return packet
}
