import type { Socket } from 'node:net'
import type { Refusal } from './admission.ts'

/** How a refusal is said: status line with headers, and a sentence. */
export interface Answer {
  head: string
  text: string
}

/** The answer to each refusal; those without one are of connections that no HTTP is spoken on. */
const RESPONSES: Record<Refusal, Answer | undefined> = {
  badRequest: { head: '400 Bad Request', text: 'It is not HTTP, or is written wrong.' },
  connectionRate: { head: '429 Too Many Requests\r\nRetry-After: 1', text: 'You connect too often.' },
  connections: { head: '503 Service Unavailable\r\nRetry-After: 10', text: 'There is no room for more connections.' },
  connectionsPerAddress: { head: '429 Too Many Requests\r\nRetry-After: 10', text: 'You have too many connections.' },
  handshakeTimeout: undefined,
  notWebSocket: {
    head: '426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket',
    text: 'This port speaks WebSocket: connect to it with ws://, not http://.',
  },
  origin: { head: '403 Forbidden', text: 'Pages of this origin may not connect.' },
  proxyHeader: undefined,
  tls: undefined,
  token: { head: '401 Unauthorized\r\nWWW-Authenticate: Bearer', text: 'A valid token is needed' },
}

/** How long who was told before it was heard may take to read that, in milliseconds, and how many may do so at a time. */
const LINGER_MS = 1_000
const MAX_LINGERING = 256
/** What is read of them meanwhile, in bytes. */
const MAX_LINGER_BYTES = 256 * 1024

let lingering = 0

export interface RefusalDetails {
  /** In place of the usual answer. */
  answer?: Answer | undefined
  /** More headers, each with the end of its line. */
  headers?: string
  /** Of the request: what HEAD is answered has no body. */
  method?: string | undefined
  /** Is told along. */
  why?: string | undefined
}

/** Ends the connection of a request that was read. */
export function refuseRequest(socket: Socket, refusal: Refusal, details: RefusalDetails = {}): void {
  socket.once('finish', () => socket.destroy())
  socket.pause() // whatever else has come, nobody wants to know it
  socket.end(responseTo(refusal, details))
}

/** Ends a connection without reading its request. */
export function refuseUnread(socket: Socket, refusal: Refusal, details?: RefusalDetails): void {
  const response = responseTo(refusal, details)
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
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
    if (bytes > MAX_LINGER_BYTES) socket.destroy()
  })
  socket.resume().end(response)
}

function responseTo(refusal: Refusal, { answer, headers = '', method, why }: RefusalDetails = {}): string {
  const { head, text } = answer ?? RESPONSES[refusal] ?? {}
  if (head === undefined) return ''
  const body = why === undefined ? `${text}\n` : `${text}: ${why}.\n`
  const lines = `Connection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}`
  return `HTTP/1.1 ${head}\r\n${lines}\r\n${method === 'HEAD' ? '' : body}`
}
