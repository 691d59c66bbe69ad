import { createHash, randomBytes } from 'node:crypto'
import { type IncomingHttpHeaders, request } from 'node:http'
import type { Socket } from 'node:net'

const TIMEOUT_MS = 4_000

/** RFC 6455 section 1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Beyond this it is no error page but a download. */
const MAX_BODY_CHARACTERS = 4096

/** An answer to a handshake that is no WebSocket; `status` 0 when there was none, and `body` says why. */
export interface PlainAnswer {
  body: string
  headers: IncomingHttpHeaders
  status: number
}

/** A WebSocket: what has come on it already, and the connection. */
export interface OpenAnswer {
  head: Buffer
  socket: Socket
}

/** The origin of a page that is on the same host. */
export function originOf({ host, protocol }: URL): string {
  return `${protocol === 'wss:' ? 'https' : 'http'}://${host}`
}

/** Asks for a WebSocket on a connection, with the headers that a browser sends; never rejects. */
export function shakeHands(url: URL, socket: Socket): Promise<OpenAnswer | PlainAnswer> {
  const key = randomBytes(16).toString('base64')
  return new Promise((resolve) => {
    const fail = (body: string): void => resolve({ body, headers: {}, status: 0 })
    const timer = setTimeout(() => fail(`no answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS)
    const asked = request({
      createConnection: () => socket,
      headers: {
        connection: 'Upgrade',
        host: url.host,
        origin: originOf(url),
        'sec-websocket-key': key,
        'sec-websocket-version': '13',
        upgrade: 'websocket',
        'user-agent': 'gatewayworker-doctor',
      },
      path: `${url.pathname}${url.search}`,
    })
    asked.on('error', ({ message }) => fail(message))
    asked.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        if (body.length < MAX_BODY_CHARACTERS) body += text
      })
      response.once('close', () => resolve({ body, headers: response.headers, status: response.statusCode ?? 0 }))
    })
    asked.on('upgrade', ({ headers }, upgraded, head) => {
      clearTimeout(timer)
      const accept = createHash('sha1')
        .update(key + ACCEPT_GUID)
        .digest('base64')
      if (headers['sec-websocket-accept'] === accept) resolve({ head, socket: upgraded })
      else fail('the answer is not to our question: a cache stands between')
    })
    asked.end()
  })
}
