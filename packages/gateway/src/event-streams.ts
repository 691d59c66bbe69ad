import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ClientOrigin } from '@gatewayworker/protocol'
import type { Claims } from './access/token-verifier.ts'
import type { OnClient } from './client-transport.ts'
import { crossOriginHeaders } from './cross-origin.ts'
import { event } from './event-stream-frame.ts'
import { EventStreamTransport } from './event-stream-transport.ts'
import { readHandshake } from './handshake.ts'

/** Proxies cut off what is silent for long; a comment now and then, which no page sees, keeps them from it, in milliseconds. */
const KEEP_ALIVE_MS = 15_000
const COMMENT = Buffer.from(':\n\n')
/** How long a page that was cut off waits before it connects again, in milliseconds: not all of them at once. */
const MIN_RETRY_MS = 2_000
const MAX_RETRY_MS = 5_000

/** Of a body that has no length, is not chunked and ends with the connection. nginx passes each event on at once. */
const HEAD = [
  'HTTP/1.1 200 OK',
  'Cache-Control: no-cache, no-transform',
  'Connection: close',
  'Content-Type: text/event-stream; charset=utf-8',
  'X-Accel-Buffering: no',
  '',
].join('\r\n')

/** Makes clients that only listen of requests for server-sent events: for networks that let no WebSocket through. */
export class EventStreams {
  readonly #areOriginsListed: boolean
  readonly #onClient: OnClient
  /** The connections that are streams, or are about to be. */
  readonly #sockets = new WeakSet<Socket>()

  /** `areOriginsListed`: a page whose request comes here is one of those that somebody has named. */
  constructor(onClient: OnClient, areOriginsListed: boolean) {
    this.#areOriginsListed = areOriginsListed
    this.#onClient = onClient
  }

  /** The connection is for a stream: nobody may ask for anything more on it, from now on. */
  claim(socket: Socket): void {
    this.#sockets.add(socket)
  }

  /** Whether the connection is for a stream. */
  has(socket: Socket): boolean {
    return this.#sockets.has(socket)
  }

  /** Answers with a stream on a connection that was claimed; what is still said there ends it. Its first event is the client's id. */
  open(request: IncomingMessage, origin: ClientOrigin, claims?: Claims): void {
    const { socket } = request
    const transport = new EventStreamTransport(socket)
    transport.write(Buffer.from(`${HEAD}${crossOriginHeaders(request, this.#areOriginsListed)}\r\n`))
    const handler = this.#onClient(transport, origin, readHandshake(request, origin, claims))
    const retryMs = Math.round(MIN_RETRY_MS + Math.random() * (MAX_RETRY_MS - MIN_RETRY_MS))
    transport.write(Buffer.concat([Buffer.from(`retry: ${retryMs}\n`), event('client_id', handler.clientId)]))
    const timer = setInterval(() => {
      if (transport.bufferedBytes === 0) transport.write(COMMENT)
    }, KEEP_ALIVE_MS).unref()
    socket.prependListener('data', () => {
      handler.onProtocolError(new Error('a client that only listens has said something'))
      transport.destroy()
    })
    socket.once('end', () => transport.destroy()) // a page that listens ends its side when it goes
    socket.once('close', () => {
      clearInterval(timer)
      handler.onClose()
    })
  }
}

/** Whether a request is for server-sent events. */
export function isForEvents({ headers, method }: IncomingMessage): boolean {
  return method === 'GET' && headers.accept?.includes('text/event-stream') === true
}
