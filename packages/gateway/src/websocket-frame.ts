const FIN = 0x80
const TEXT = 1
const BINARY = 2

/** A WebSocket frame of a server: unmasked, unfragmented (RFC 6455 section 5.2). */
export function frameWebSocketMessage(body: Uint8Array, isBinary: boolean): Buffer {
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
