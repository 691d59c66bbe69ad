import type { Socket } from 'node:net'
import type { ClientOrigin } from '@gatewayworker/protocol'
import type { CloseCode } from './close-codes.ts'
import type { Handshake } from './handshake.ts'
import type { OutgoingMessage } from './message.ts'

/** The longest piece that is written at once. */
const PIECE_BYTES = 64 * 1024
/** How long a client may take to end its side when we have ended ours, in milliseconds. */
export const CLOSE_TIMEOUT_MS = 2_000

/**
 * What a client's messages travel on: a socket, and how a message looks on it.
 *
 * Whoever makes it hands it on with `OnClient` and tells what happens to the `TransportHandler` that it gets back.
 */
export abstract class ClientTransport {
  protected readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
  }

  /** Whether the client can say nothing, so that its silence means nothing. */
  get isReceiveOnly(): boolean {
    return false
  }

  /** What went over the connection since it was made, handshake and framing included. */
  get traffic(): { bytesIn: number; bytesOut: number } {
    return { bytesIn: this.socket.bytesRead, bytesOut: this.socket.bytesWritten }
  }

  /** Output that the kernel has not taken yet, in bytes. */
  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  /** The bytes of a message, made once for all clients that share the framing; undefined if the transport itself has sent it. */
  abstract frame(message: OutgoingMessage): Buffer | undefined

  /** Writes framed messages. */
  write(bytes: Buffer): void {
    if (!this.socket.writable) return
    // In pieces, because a piece of which the kernel took only a part counts as waiting.
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.socket.write(bytes.length <= PIECE_BYTES ? bytes : bytes.subarray(at, at + PIECE_BYTES))
    }
  }

  /** Asks whether anybody is there, which the protocol of the other side answers by itself; false where it has nothing for that. */
  ask(): boolean {
    return false
  }

  /** Reads no more until `resume`. */
  abstract pause(): void
  abstract resume(): void

  /** Ends the connection after what was written, and says why as far as the protocol can; a client that does not part in time is cut off. */
  abstract close(code: CloseCode, text: string): void

  /** Ends the connection at once. */
  abstract destroy(): void

  /** Ends our side after what was written; a client that does not end its own in time is cut off. */
  protected endSocket(): void {
    this.socket.end()
    // A socket that is not read would never see the other side's end.
    this.socket.resume()
    const timer = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS)
    this.socket.once('close', () => clearTimeout(timer))
  }
}

/** Who is told what happens on a transport. */
export interface TransportHandler {
  readonly clientId: string
  /** A message has come; the buffer is the handler's to keep. */
  onMessage(body: Buffer, isBinary: boolean): void
  /** Something has come that is no message and shows that the client lives: whether it is to be answered. */
  onAlive(): boolean
  /** The client's side has answered `ask`. */
  onAnswer(): void
  /** The client will say no more, but may still read. */
  onEnd(): void
  /** The client broke the protocol; the transport ends the connection. */
  onProtocolError(error: Error): void
  /** The connection has ended. */
  onClose(): void
}

/** Takes a new client over. `handshake`: the HTTP request that it came with, if it did. */
export type OnClient = (transport: ClientTransport, origin: ClientOrigin, handshake?: Handshake) => TransportHandler
