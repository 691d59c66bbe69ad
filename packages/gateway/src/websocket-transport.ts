import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { CLOSE_TIMEOUT_MS, ClientTransport, type TransportHandler } from './client-transport.ts'
import type { CloseCode } from './close-codes.ts'
import type { OutgoingMessage } from './message.ts'
import { ownBytes } from './own-bytes.ts'
import { frameWebSocketMessage } from './websocket-frame.ts'
import { WebSocketMeter } from './websocket-meter.ts'

/** Frames that are still read of a connection that has broken with them unread. */
const FRAMES_AT_END = 1_000
/** What a fragment costs, in messages: it is less work than one, as no worker hears of it. */
const FRAGMENT_COST = 1 / 8
/** RFC 6455 section 7.4.1: the client did something that we do not take, and there is no better code. */
const POLICY_VIOLATION = 1008

/**
 * A WebSocket: ws reads it and parts with the client; messages are framed here, once for all, and go past ws into its socket.
 *
 * ```
 * socket ─▶ meter: frames, bytes ─▶ ws ─▶ messages, pings, pongs ─▶ handler
 * ```
 */
export class WebSocketTransport extends ClientTransport {
  readonly #compresses: boolean
  readonly #maxHeldBytes: number
  readonly #meter = new WebSocketMeter()
  /** Gives bytes to ws, as its own listener for them. */
  readonly #receive: (chunk: Buffer) => void
  readonly #webSocket: WebSocket
  /** Messages that ws has and has not said yet: it inflates them. */
  #inflating = 0
  /** What waits for raw bytes in it, which must not overtake what ws compresses, and go past it. */
  readonly #behind: OutgoingMessage[] = []
  #behindBytes = 0
  #isClosing = false
  /** Whether ws reads nothing more. */
  #isDone = false
  #onSentAll: (() => void) | undefined
  /** Messages that ws compresses, or has not written yet. */
  #sending = 0

  /** `maxHeldBytes`: what may be read, control frames included, until a message is whole. */
  constructor(webSocket: WebSocket, socket: Socket, maxHeldBytes: number) {
    super(socket)
    this.#compresses = webSocket.extensions !== ''
    this.#maxHeldBytes = maxHeldBytes
    this.#webSocket = webSocket
    const [receive, ...others] = socket.listeners('data')
    if (receive === undefined || others.length > 0) throw new Error('ws does not read its socket as it did')
    this.#receive = receive.bind(socket) as (chunk: Buffer) => void
    socket.off('data', receive as () => void)
  }

  /** Reads, and tells the handler of everything. */
  start(handler: TransportHandler): void {
    this.handler = handler
    const webSocket = this.#webSocket
    webSocket.on('message', this.#onMessage)
    webSocket.on('ping', (data) => {
      this.deliveredBytes += data.length
      // Pongs go past all that bounds what waits for a client; one that does not read needs none.
      if (handler.onAlive()) webSocket.pong(data)
    })
    webSocket.on('pong', (data) => {
      this.deliveredBytes += data.length
      handler.onAnswer()
    })
    webSocket.on('error', (error) => {
      this.#isDone = true
      handler.onProtocolError(error)
    })
    webSocket.on('close', () => handler.onClose())
    this.socket.prependListener('close', this.#onBroken)
    this.socket.on('data', this.#onData)
  }

  /** With compression: also what ws has not compressed yet. */
  override get bufferedBytes(): number {
    return this.#compresses ? this.#webSocket.bufferedAmount + this.#behindBytes : this.socket.writableLength
  }

  override get heldBytes(): number {
    return this.#meter.heldBytes
  }

  frame(message: OutgoingMessage): Buffer | undefined {
    if (!this.#compresses) return message.framedBy(frameWebSocketMessage)
    // Compressed messages are ws's business from here on: it keeps their order, and counts what waits to be compressed.
    if (this.#behind.length === 0 && !(message.isRaw && this.#sending > 0)) {
      this.#send(message)
      return undefined
    }
    this.#behind.push(message)
    this.#behindBytes += message.ownBody.length
    return undefined
  }

  override ask(): boolean {
    this.#webSocket.ping()
    return true
  }

  close(code: CloseCode, text: string): void {
    if (this.#behind.length === 0) {
      this.#end(code, text)
      return
    }
    this.#onSentAll = () => this.#end(code, text)
    const timer = setTimeout(() => this.destroy(), CLOSE_TIMEOUT_MS)
    this.socket.once('close', () => clearTimeout(timer))
    this.resume()
  }

  destroy(): void {
    this.#webSocket.terminate()
  }

  protected override stopReading(): void {
    this.#webSocket.pause()
  }

  protected override startReading(): void {
    if (this.#inflating === 0) this.#webSocket.resume()
  }

  #send(message: OutgoingMessage): void {
    if (message.isRaw) {
      this.write(message.ownBody)
      return
    }
    this.#sending += 1
    this.#webSocket.send(message.ownBody, { binary: message.isBinary }, this.#onSent)
  }

  readonly #onSent = (): void => {
    this.#sending -= 1
    for (let next = this.#behind[0]; next !== undefined; next = this.#behind[0]) {
      if (next.isRaw && this.#sending > 0) return
      this.#behind.shift()
      this.#behindBytes -= next.ownBody.length
      this.#send(next)
    }
    this.#onSentAll?.()
    this.#onSentAll = undefined
  }

  #end(code: number, text: string): void {
    this.#isClosing = true
    this.#webSocket.close(code, text)
    // A socket that is not read would never see the other side's answer.
    this.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isDone || this.#isClosing) this.onBytesAfterClose(chunk.length)
    for (let at = 0; at < chunk.length && !this.#isDone && !this.socket.destroyed; ) {
      at += this.#read(at === 0 ? chunk : chunk.subarray(at))
      if (at === chunk.length || !(this.isWaiting || this.#inflating > 0)) continue
      this.socket.unshift(ownBytes(chunk.subarray(at))) // it comes again when the socket is read again
      return
    }
  }

  /** Lets ws have as much as it may; returns how much that was. */
  #read(chunk: Buffer): number {
    const meter = this.#meter
    const heldBefore = meter.heldBytes
    // One after the other, where ws inflates them meanwhile: a pause is to stop the next.
    const taken = meter.take(chunk, this.piecesLeft, this.#compresses ? 1 : undefined)
    if (this.#compresses) this.#inflating += meter.messages
    const endsIt = meter.heldBytes < heldBefore + taken
    if (endsIt) this.release(heldBefore)
    this.#feed(chunk, taken)
    if (meter.isClosed) this.#isDone = true
    if (this.#inflating > 0) this.stopReading()
    this.spend(meter.frames, taken)
    const pieces = meter.frames === 0 && this.isShort(taken) ? 1 : meter.fragments * FRAGMENT_COST
    this.settle(endsIt ? heldBefore + taken : taken, pieces, heldBefore === 0 || meter.heldFrom > 0)
    if (meter.heldBytes > this.#maxHeldBytes && !this.#isDone) {
      this.#isDone = true
      this.handler.onProtocolError(new RangeError('too much came within a message'))
      this.#end(POLICY_VIOLATION, 'too much within a message')
    }
    return taken
  }

  /** What ws has to keep until the rest has come does not keep what came before it. */
  #feed(chunk: Buffer, length: number): void {
    const { heldBytes, heldFrom } = this.#meter
    if (heldBytes === 0) {
      this.#receive(length === chunk.length ? chunk : chunk.subarray(0, length))
      return
    }
    if (heldFrom > 0) this.#receive(chunk.subarray(0, heldFrom))
    this.#receive(ownBytes(chunk.subarray(heldFrom, length)))
  }

  readonly #onMessage = (data: unknown, isBinary: boolean): void => {
    const body = data as Buffer
    if (this.#inflating > 0) {
      this.#inflating -= 1
      if (!this.isWaiting) this.startReading()
    } else {
      this.deliveredBytes += body.length
    }
    this.handler.onMessage(body, isBinary)
  }

  /** Not all was read: what was is bounded, as the client has it for nothing. */
  readonly #onBroken = (): void => {
    this.socket.off('data', this.#onData)
    const rest = this.socket.read() as Buffer | null
    if (rest !== null && !this.#isDone) this.#feed(rest, this.#meter.take(rest, FRAMES_AT_END))
  }
}
