import type { Socket } from 'node:net'
import { EMPTY } from '@gatewayworker/protocol'

/** The longest line with which a request may begin; RFC 9112 section 3 asks for 8 000 bytes at least. */
const MAX_LINE_BYTES = 16 * 1024
const LINE_FEED = 0x0a

/**
 * Writes the bytes of a request's first line that are no ASCII as URLs have them, and calls `onLine` when that line has come: the socket is then
 * as if nobody had touched it. Clients that are no browsers put UTF-8 into a URL as it is, and Node's parser takes none. Calls `onTooLong`
 * instead where the line does not end.
 */
export function escapeRequestLine(socket: Socket, onLine: () => void, onTooLong: () => void): void {
  let bytes: Buffer = EMPTY
  const onEnd = (): void => void socket.destroy()
  const stop = (): void => {
    socket.off('data', onData)
    socket.off('end', onEnd)
  }
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const end = bytes.indexOf(LINE_FEED)
    if (end === -1 && bytes.length < MAX_LINE_BYTES) return
    socket.pause()
    stop()
    if (end === -1 || end > MAX_LINE_BYTES) {
      onTooLong()
      return
    }
    socket.unshift(escapeUpTo(bytes, end))
    onLine()
    socket.resume()
  }
  socket.on('data', onData)
  socket.on('end', onEnd)
}

function escapeUpTo(bytes: Buffer, end: number): Buffer {
  const line = bytes.toString('latin1', 0, end)
  if (!/[\x80-\xff]/.test(line)) return bytes
  const escaped = line.replace(/[\x80-\xff]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return Buffer.concat([Buffer.from(escaped, 'latin1'), bytes.subarray(end)])
}
