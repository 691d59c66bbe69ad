import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { Refusal } from './access/admission.ts'
import type { Admitted } from './access/doorkeeper.ts'
import { refuseRequest, refuseUnread } from './access/http-refusal.ts'
import type { ClientAcceptor, Reception } from './client-port.ts'
import { CLOSE_TIMEOUT_MS, type OnClient } from './client-transport.ts'
import { EventStreams, isForEvents } from './event-streams.ts'
import { readHandshake } from './handshake.ts'
import { WebSocketTransport } from './websocket-transport.ts'

/** A long message may come in pieces of this size, on average: Go's websocket package sends 4 KiB in a frame, slow lines a few hundred bytes in a packet. */
const MIN_FRAGMENT_BYTES = 1024
const MIN_CHUNK_BYTES = 64
/** A short one in as many. */
const MIN_FRAGMENTS = 128
const MIN_CHUNKS = 1024
/** What may come between the fragments of a message: pings, and the headers of all. */
const MAX_BYTES_BESIDE_PAYLOAD = 64 * 1024

export interface WebSocketAcceptorOptions {
  /** Whether only pages of listed origins pass the examination. */
  areOriginsListed: boolean
  /** Offer permessage-deflate. */
  compression: boolean
  maxPayloadBytes: number
  onClient: OnClient
  reception: Reception
  /** Whether clients may listen to server-sent events instead. */
  sse: boolean
}

/** Makes clients of connections that ask for a WebSocket, or for server-sent events if they may, and tells all others to. */
export class WebSocketAcceptor implements ClientAcceptor {
  readonly #eventStreams: EventStreams | undefined
  /** Does not listen: it is given the connections of the client port. */
  readonly #http: Server
  readonly #maxHeldBytes: number
  readonly #onClient: OnClient
  readonly #reception: Reception
  readonly #webSockets: WebSocketServer

  constructor(options: WebSocketAcceptorOptions) {
    const { areOriginsListed, compression, maxPayloadBytes, onClient, reception, sse } = options
    this.#maxHeldBytes = 2 * maxPayloadBytes + MAX_BYTES_BESIDE_PAYLOAD
    this.#onClient = onClient
    this.#reception = reception
    if (sse) this.#eventStreams = new EventStreams(onClient, areOriginsListed)
    this.#http = createServer(this.#onRequest)
    this.#http.on('upgrade', this.#onUpgrade)
    this.#webSockets = new WebSocketServer({
      autoPong: false,
      clientTracking: false,
      // @ts-expect-error the option is younger than its types
      closeTimeout: CLOSE_TIMEOUT_MS,
      maxBufferedChunks: Math.max(MIN_CHUNKS, Math.ceil(maxPayloadBytes / MIN_CHUNK_BYTES)),
      maxFragments: Math.max(MIN_FRAGMENTS, Math.ceil(maxPayloadBytes / MIN_FRAGMENT_BYTES)),
      maxPayload: maxPayloadBytes,
      noServer: true,
      perMessageDeflate: compression,
      skipUTF8Validation: false,
    })
  }

  accept(socket: Socket): void {
    this.#http.emit('connection', socket)
  }

  refuse(socket: Socket, refusal: Refusal): void {
    refuseUnread(socket, refusal)
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request
    if (this.#eventStreams?.has(socket)) socket.destroy()
    else if (this.#eventStreams === undefined || !isForEvents(request)) refusePlainRequest(response)
    else void this.#openEvents(this.#eventStreams, request, response)
  }

  async #openEvents(streams: EventStreams, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request
    streams.claim(socket)
    const verdict = await this.#reception.examine(socket, request)
    if (verdict === undefined) return
    if ('refusal' in verdict) refuseRequest(socket, verdict.refusal, verdict.why)
    else streams.open(request, response, this.#reception.admit(socket, verdict.peer), verdict.claims)
  }

  readonly #onUpgrade = (request: IncomingMessage, duplex: Duplex, head: Buffer): void => {
    const socket = duplex as Socket
    if (this.#eventStreams?.has(socket)) {
      socket.destroy()
      return
    }
    void this.#examine(request, socket, head)
  }

  async #examine(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const verdict = await this.#reception.examine(socket, request)
    if (verdict === undefined) return
    if ('refusal' in verdict) refuseRequest(socket, verdict.refusal, verdict.why)
    else this.#shakeHands(request, socket, head, verdict)
  }

  #shakeHands(request: IncomingMessage, socket: Socket, head: Buffer, { claims, peer }: Admitted): void {
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const origin = this.#reception.admit(socket, peer)
      const transport = new WebSocketTransport(webSocket, socket, this.#maxHeldBytes)
      transport.start(this.#onClient(transport, origin, readHandshake(request, origin, claims)))
    })
  }
}

function refusePlainRequest(response: ServerResponse): void {
  const headers = { connection: 'close, upgrade', 'content-type': 'text/plain', upgrade: 'websocket' }
  response.writeHead(426, headers).end('This port speaks WebSocket: connect to it with ws://, not http://.\n')
}
