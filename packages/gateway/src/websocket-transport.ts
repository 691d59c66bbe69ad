import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { ClientTransport } from './client-transport.ts'
import type { CloseCode } from './close-codes.ts'
import type { OutgoingMessage } from './message.ts'
import { frameWebSocketMessage } from './websocket-frame.ts'

/** A WebSocket: ws reads it and parts with the client; messages are framed here, once for all, and go past ws into its socket. */
export class WebSocketTransport extends ClientTransport {
  readonly #compresses: boolean
  readonly #webSocket: WebSocket

  constructor(webSocket: WebSocket, socket: Socket) {
    super(socket)
    this.#compresses = webSocket.extensions !== ''
    this.#webSocket = webSocket
  }

  /** With compression: also what ws has not compressed yet. */
  override get bufferedBytes(): number {
    return this.#compresses ? this.#webSocket.bufferedAmount : this.socket.writableLength
  }

  frame(message: OutgoingMessage): Buffer | undefined {
    if (!this.#compresses || message.isRaw) return message.framedBy(frameWebSocketMessage)
    // Compressed messages are ws's business from here on: it keeps their order, and counts what waits to be compressed.
    this.#webSocket.send(message.ownBody, { binary: message.isBinary })
    return undefined
  }

  override ask(): boolean {
    this.#webSocket.ping()
    return true
  }

  pause(): void {
    this.#webSocket.pause()
  }

  resume(): void {
    this.#webSocket.resume()
  }

  close(code: CloseCode, text: string): void {
    this.#webSocket.close(code, text)
    // A socket that is not read would never see the other side's answer.
    this.#webSocket.resume()
  }

  destroy(): void {
    this.#webSocket.terminate()
  }
}
