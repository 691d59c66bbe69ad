import type { Socket } from 'node:net'
import type { Refusal } from './admission.ts'

/** The status line and headers of each refusal, and what it says; those without a status are of connections that no HTTP is spoken on yet. */
const RESPONSES: Record<Refusal, { head: string; text: string } | undefined> = {
  connectionRate: { head: '429 Too Many Requests\r\nRetry-After: 1', text: 'You connect too often.' },
  connections: { head: '503 Service Unavailable\r\nRetry-After: 10', text: 'There is no room for more connections.' },
  connectionsPerAddress: { head: '429 Too Many Requests\r\nRetry-After: 10', text: 'You have too many connections.' },
  handshakeTimeout: undefined,
  origin: { head: '403 Forbidden', text: 'Pages of this origin may not connect.' },
  proxyHeader: undefined,
  token: { head: '401 Unauthorized\r\nWWW-Authenticate: Bearer', text: 'A valid token is needed' },
}

/** How long who was told before it was heard may take to read that, in milliseconds, and how many may do so at a time. */
const LINGER_MS = 1_000
const MAX_LINGERING = 256

let lingering = 0

/** Ends the connection of a request that was read. `why` is told along. */
export function refuseRequest(socket: Socket, refusal: Refusal, why?: string): void {
  socket.once('finish', () => socket.destroy())
  socket.end(responseTo(refusal, why))
}

/** Ends a connection without reading its request. */
export function refuseUnread(socket: Socket, refusal: Refusal): void {
  const response = responseTo(refusal)
  if (response === '' || lingering >= MAX_LINGERING) {
    socket.destroy()
    return
  }
  // What it says is read and thrown away: a connection that is closed with something unread takes back what it was told.
  lingering += 1
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => {
    lingering -= 1
    clearTimeout(timer)
  })
  socket.resume().end(response)
}

function responseTo(refusal: Refusal, why?: string): string {
  const response = RESPONSES[refusal]
  if (response === undefined) return ''
  const text = why === undefined ? `${response.text}\n` : `${response.text}: ${why}.\n`
  const headers = `Connection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}`
  return `HTTP/1.1 ${response.head}\r\n${headers}\r\n\r\n${text}`
}
