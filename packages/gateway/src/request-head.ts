import type { Socket } from 'node:net'
import { EMPTY } from '@gatewayworker/protocol'
import { type Fault, HAS_BODY, HEAD_TOO_LONG, TARGET_TOO_LONG } from './http-request.ts'

/** The longest head of a request; RFC 9112 section 3 asks for 8 000 bytes for its first line at least. */
export const MAX_HEAD_BYTES = 16 * 1024
const REQUEST_LINE = /^[A-Z]+ \S+ HTTP\/1\.[01]\r?$/
/** A body of any length, as clients write it; the parser finds the others. */
const BODY = /\n(?:transfer-encoding:|content-length:[ \t]*0*[1-9])/i
const CARRIAGE_RETURN = 0x0d
const LINE_FEED = 0x0a
/** What a request may begin with: a letter, or an empty line (RFC 9112 section 2.2). */
const BEGINNING = /^[A-Z\r\n]/

/**
 * Waits for the head of a request, writes the bytes of its first line that are no ASCII as URLs have them, and calls `onHead`: the socket is then
 * as if nobody had touched it, but that the head comes alone. Clients that are no browsers put UTF-8 into a URL as it is, and Node's parser takes
 * none; and it would go through all that comes with a head, such as a body in a thousand chunks, before anybody could stop it. What is no HTTP
 * is left to the parser at once. Calls `onFault` where the head does not end, or a body is to follow.
 */
export function readRequestHead(socket: Socket, onHead: () => void, onFault: (fault: Fault) => void): void {
  let bytes: Buffer = EMPTY
  const onEnd = (): void => void socket.destroy()
  const stop = (): void => {
    socket.pause()
    socket.off('data', onData)
    socket.off('end', onEnd)
  }
  const onData = (chunk: Buffer): void => {
    const searched = Math.max(bytes.length - 2, 0)
    bytes = withoutEmptyLines(bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]))
    const lineEnd = bytes.indexOf(LINE_FEED)
    const isHttp =
      bytes.length === 0 ||
      (lineEnd === -1 ? BEGINNING.test(bytes.toString('latin1', 0, 1)) : isRequestLine(bytes, lineEnd))
    const end = isHttp ? findEnd(bytes, searched) : bytes.length
    if (end === -1 && bytes.length < MAX_HEAD_BYTES) return
    stop()
    if (end === -1 || (isHttp && end > MAX_HEAD_BYTES)) {
      onFault(lineEnd === -1 || lineEnd > MAX_HEAD_BYTES / 2 ? TARGET_TOO_LONG : HEAD_TOO_LONG)
      return
    }
    if (isHttp && BODY.test(bytes.toString('latin1', 0, end))) {
      onFault(HAS_BODY)
      return
    }
    if (end < bytes.length) socket.unshift(bytes.subarray(end))
    socket.unshift(escapeLine(bytes.subarray(0, end), lineEnd))
    onHead()
    socket.resume()
  }
  socket.on('data', onData)
  socket.on('end', onEnd)
}

function withoutEmptyLines(bytes: Buffer): Buffer {
  let at = 0
  while (bytes[at] === CARRIAGE_RETURN || bytes[at] === LINE_FEED) at += 1
  return at === 0 ? bytes : bytes.subarray(at)
}

function isRequestLine(bytes: Buffer, end: number): boolean {
  return REQUEST_LINE.test(bytes.toString('latin1', 0, end))
}

/** Where the head ends, behind its empty line; -1 if it does not. */
function findEnd(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(LINE_FEED, from); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) {
    if (bytes[at + 1] === LINE_FEED) return at + 2
    if (bytes[at + 1] === CARRIAGE_RETURN && bytes[at + 2] === LINE_FEED) return at + 3
  }
  return -1
}

function escapeLine(bytes: Buffer, end: number): Buffer {
  const line = bytes.toString('latin1', 0, Math.max(end, 0))
  if (!/[\x80-\xff]/.test(line)) return bytes
  const escaped = line.replace(/[\x80-\xff]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return Buffer.concat([Buffer.from(escaped, 'latin1'), bytes.subarray(end)])
}
