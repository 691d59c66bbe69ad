import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { Refusal } from './access/admission.ts'
import type { Admitted } from './access/doorkeeper.ts'
import { type Answer, refuseRequest, refuseUnread } from './access/http-refusal.ts'
import type { ClientAcceptor, Reception } from './client-port.ts'
import { CLOSE_TIMEOUT_MS, type OnClient } from './client-transport.ts'
import { readOffers } from './compression-offers.ts'
import { crossOriginHeaders, isPreflight, preflightResponse } from './cross-origin.ts'
import { EventStreams, isForEvents } from './event-streams.ts'
import { readHandshake } from './handshake.ts'
import {
  asksForWebSocket,
  badRequest,
  faultOf,
  NOT_GET,
  readRequest,
  readUpgrade,
  UNKNOWN_EXPECTATION,
} from './http-request.ts'
import { MAX_HEAD_BYTES, readRequestHead } from './request-head.ts'
import { WebSocketTransport } from './websocket-transport.ts'

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

/** A long message may come in frames, and packets, of this size, on average; Go's websocket package, for one, sends 4 KiB in a frame. */
const MIN_FRAGMENT_BYTES = 256
const MIN_CHUNK_BYTES = 64
/** A short one in as many. */
const MIN_FRAGMENTS = 128
const MIN_CHUNKS = 1024
/** What may come between the fragments of a message: pings, and the headers of all. */
const MAX_BYTES_BESIDE_PAYLOAD = 64 * 1024
/** What is shorter than the threshold does not get shorter; zlib keeps less than by default. */
const DEFLATE = { concurrencyLimit: 10, threshold: 1024, zlibDeflateOptions: { memLevel: 6 } }

/** Makes clients of connections that ask for a WebSocket, or for server-sent events if they may, and tells all others to. */
export class WebSocketAcceptor implements ClientAcceptor {
  readonly #eventStreams: EventStreams | undefined
  /** Does not listen: it is given the connections of the client port. */
  readonly #http: Server
  readonly #options: WebSocketAcceptorOptions
  readonly #webSockets: WebSocketServer

  constructor(options: WebSocketAcceptorOptions) {
    const { areOriginsListed, compression, maxPayloadBytes, onClient, sse } = options
    this.#options = options
    if (sse) this.#eventStreams = new EventStreams(onClient, areOriginsListed)
    // How long a request may take is for the client port to say; whether it has a Host is looked at with the rest of it.
    const limits = { insecureHTTPParser: false, maxHeaderSize: 2 * MAX_HEAD_BYTES, requireHostHeader: false }
    this.#http = createServer(limits, this.#onRequest)
    this.#http.maxHeadersCount = 0 // none is left out: their size is limited
    this.#http.on('checkContinue', this.#onRequest)
    this.#http.on('checkExpectation', ({ socket }: IncomingMessage) => this.#refuse(socket, UNKNOWN_EXPECTATION))
    this.#http.on('clientError', this.#onBadBytes)
    this.#http.on('connect', (_request, socket) => this.#refuse(socket as Socket, NOT_GET))
    this.#http.on('upgrade', this.#onUpgrade)
    this.#webSockets = new WebSocketServer({
      autoPong: false,
      clientTracking: false,
      // @ts-expect-error the options are younger than their types
      closeTimeout: CLOSE_TIMEOUT_MS,
      maxBufferedChunks: Math.max(MIN_CHUNKS, Math.ceil(maxPayloadBytes / MIN_CHUNK_BYTES)),
      maxFragments: Math.max(MIN_FRAGMENTS, Math.ceil(maxPayloadBytes / MIN_FRAGMENT_BYTES)),
      maxPayload: maxPayloadBytes,
      noServer: true,
      perMessageDeflate: compression ? DEFLATE : false,
      skipUTF8Validation: false,
    })
    this.#webSockets.on('wsClientError', (error: Error, socket: Duplex) =>
      this.#refuse(socket as Socket, badRequest(`${error.message}.`)),
    )
  }

  accept(socket: Socket): void {
    readRequestHead(
      socket,
      () => this.#http.emit('connection', socket),
      (answer) => {
        this.#options.reception.onRefused(socket, 'badRequest', answer.text)
        refuseUnread(socket, 'badRequest', { answer })
      },
    )
  }

  refuse(socket: Socket, refusal: Refusal): void {
    refuseUnread(socket, refusal)
  }

  readonly #onRequest = (request: IncomingMessage): void => {
    const { method, socket } = request
    const { areOriginsListed, reception } = this.#options
    if (this.#eventStreams?.has(socket) || socket.writableEnded) {
      socket.destroy() // one request is all that a connection is for
      return
    }
    const fault = readRequest(request)
    if (fault !== undefined) this.#refuse(socket, fault, method)
    else if (this.#eventStreams !== undefined && isForEvents(request))
      void this.#openEvents(this.#eventStreams, request)
    else if (this.#eventStreams === undefined || !isPreflight(request)) {
      reception.onRefused(socket, 'notWebSocket')
      refuseRequest(socket, 'notWebSocket', { method })
    } else if (reception.allowsOrigin(request.headers.origin)) {
      socket.once('finish', () => socket.destroy())
      socket.end(preflightResponse(request, areOriginsListed))
    } else {
      reception.onRefused(socket, 'origin')
      refuseRequest(socket, 'origin')
    }
  }

  async #openEvents(streams: EventStreams, request: IncomingMessage): Promise<void> {
    const { socket } = request
    const { areOriginsListed, reception } = this.#options
    streams.claim(socket)
    const verdict = await reception.examine(socket, request)
    if (verdict === undefined) return
    if ('refusal' in verdict) {
      const { refusal, why } = verdict
      const headers = refusal === 'origin' ? '' : crossOriginHeaders(request, areOriginsListed)
      refuseRequest(socket, refusal, { headers, why })
    } else streams.open(request, reception.admit(socket, verdict.peer), verdict.claims)
  }

  readonly #onUpgrade = (request: IncomingMessage, duplex: Duplex, head: Buffer): void => {
    const socket = duplex as Socket
    if (!asksForWebSocket(request)) {
      if (head.length > 0) socket.destroy()
      else this.#onRequest(request)
      return
    }
    const fault = this.#eventStreams?.has(socket) ? undefined : (readRequest(request) ?? this.#readUpgrade(request))
    if (this.#eventStreams?.has(socket)) socket.destroy()
    else if (fault !== undefined) this.#refuse(socket, fault)
    else void this.#examine(request, socket, head)
  }

  async #examine(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const verdict = await this.#options.reception.examine(socket, request)
    if (verdict === undefined) return
    if ('refusal' in verdict) refuseRequest(socket, verdict.refusal, { why: verdict.why })
    else this.#shakeHands(request, socket, head, verdict)
  }

  #shakeHands(request: IncomingMessage, socket: Socket, head: Buffer, { claims, peer }: Admitted): void {
    const { maxPayloadBytes, onClient, reception } = this.#options
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const origin = reception.admit(socket, peer)
      const transport = new WebSocketTransport(webSocket, socket, 2 * maxPayloadBytes + MAX_BYTES_BESIDE_PAYLOAD)
      transport.start(onClient(transport, origin, readHandshake(request, origin, claims)))
    })
  }

  #readUpgrade(request: IncomingMessage): Answer | undefined {
    const isList = this.#options.compression ? readOffers(request) : true
    return isList ? readUpgrade(request) : badRequest('Its Sec-WebSocket-Extensions is not a list of extensions.')
  }

  #refuse(socket: Socket, answer: Answer, method?: string): void {
    this.#options.reception.onRefused(socket, 'badRequest', answer.text)
    refuseRequest(socket, 'badRequest', { answer, method })
  }

  readonly #onBadBytes = (error: NodeJS.ErrnoException, duplex: Duplex): void => {
    const socket = duplex as Socket
    if (error.code === 'ECONNRESET' || !socket.writable || this.#eventStreams?.has(socket)) socket.destroy()
    else this.#refuse(socket, faultOf(error))
  }
}
