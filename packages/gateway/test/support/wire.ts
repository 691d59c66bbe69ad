import type { ClientProtocol } from '../../src/index.ts'

/** What a client says and hears in a protocol, written anew for the tests. */
export interface Wire {
  /** What the client sends before anything else, answered with a head as HTTP has it. */
  greeting?: string
  /** The bytes with which a client sends a message. */
  encode(message: Buffer): Buffer
  /** The first message in what a client was sent, and its length there; undefined if it is not whole, or a goodbye. */
  decode(received: Buffer): { length: number; message: Buffer } | undefined
  /** Whether the gateway says goodbye, and waits for the client to end the connection. */
  isGoodbye?(received: Buffer): boolean
}

/** Masked with zeros, which leave it as it is. */
const websocket: Wire = {
  greeting:
    'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
  encode(message) {
    const length = message.length < 126 ? Buffer.of(0x80 | message.length) : Buffer.of(0x80 | 126, 0, 0)
    if (message.length >= 126) length.writeUInt16BE(message.length, 1)
    return Buffer.concat([Buffer.of(0x82), length, Buffer.alloc(4), message])
  },
  decode(received) {
    const short = (received[1] ?? 0) & 0x7f
    const header = short < 126 ? 2 : short === 126 ? 4 : 10
    if (received.length < header || isClose(received)) return undefined
    const size = short < 126 ? short : short === 126 ? received.readUInt16BE(2) : received.readUInt32BE(6)
    return cut(received, header, size, 0)
  },
  isGoodbye: isClose,
}

function isClose(received: Buffer): boolean {
  return received[0] === 0x88
}

const text: Wire = {
  encode: (message) => Buffer.concat([message, Buffer.from('\r\n')]),
  decode: (received) => cut(received, 0, received.indexOf('\n'), 1),
}

const frame: Wire = {
  encode(message) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(message.length + 4)
    return Buffer.concat([length, message])
  },
  decode: (received) => (received.length < 4 ? undefined : cut(received, 4, received.readUInt32BE(0) - 4, 0)),
}

/** For tests a message is what has come in the meantime. */
const tcp: Wire = {
  encode: (message) => message,
  decode: (received) => (received.length === 0 ? undefined : cut(received, 0, received.length, 0)),
}

/** A protocol as a user would write it: three digits of length, then the message. */
export const ownProtocol: ClientProtocol = {
  input(buffer) {
    if (buffer.length < 3) return 0
    return /^\d{3}/.test(buffer.toString('latin1', 0, 3)) ? 3 + Number(buffer.toString('latin1', 0, 3)) : -1
  },
  decode: (packet) => packet.subarray(3),
  encode: (message) => Buffer.concat([Buffer.from(String(message.length).padStart(3, '0')), message]),
}

const own: Wire = {
  encode: (message) => Buffer.concat([Buffer.from(String(message.length).padStart(3, '0')), message]),
  decode: (received) =>
    received.length < 3 ? undefined : cut(received, 3, Number(received.toString('latin1', 0, 3)), 0),
}

export const WIRES = { frame, own, tcp, text, websocket }

function cut(received: Buffer, header: number, size: number, trailer: number) {
  if (size < 0 || received.length < header + size + trailer) return undefined
  return { length: header + size + trailer, message: received.subarray(header, header + size) }
}
