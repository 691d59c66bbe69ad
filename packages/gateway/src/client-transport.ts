import type { Socket } from 'node:net'
import type { ClientOrigin } from '@gatewayworker/protocol'
import type { CloseCode } from './close-codes.ts'
import type { Handshake } from './handshake.ts'
import type { OutgoingMessage } from './message.ts'
import { BYTES_A_TURN, PIECES_A_TURN, turns, type Waiting } from './turns.ts'

/** The longest piece that is written at once. */
const PIECE_BYTES = 64 * 1024
/** How long a client may take to end its side when we have ended ours, in milliseconds. */
export const CLOSE_TIMEOUT_MS = 2_000
/** What is read, and thrown away, of a client that we have closed before it is cut off, in bytes: what it had on its way, and no more. */
const MAX_BYTES_AFTER_CLOSE = 1024 * 1024
/** Shorter pieces of a message cost as much as a message: reading one is the same work, whatever is in it. */
const SHORT_BYTES = 64

/**
 * What a client's messages travel on: a socket, and how a message looks on it.
 *
 * Whoever makes it hands it on with `OnClient` and tells what happens to the `TransportHandler` that it gets back.
 *
 * Invariants: all that is read is charged to the client, as messages or by `settle`; a client has had its turn after so many pieces, or bytes, and is
 * read on in the next turn of the event loop, when the others have had theirs.
 */
export abstract class ClientTransport implements Waiting {
  /** Bytes of messages that the handler was told since `settle`. */
  protected deliveredBytes = 0
  protected handler!: TransportHandler
  protected readonly socket: Socket
  #bytesAfterClose = 0
  #bytesLeft = 0
  #hasHadTurn = false
  #isPaused = false
  #piecesLeft = 0
  #turn = -1

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

  /** Input that is kept until the rest of a message has come, in bytes. */
  get heldBytes(): number {
    return 0
  }

  /** Input that was read and waits, in bytes. */
  get waitingBytes(): number {
    return this.socket.readableLength
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
  pause(): void {
    this.#isPaused = true
    this.stopReading()
  }

  resume(): void {
    this.#isPaused = false
    if (!this.#hasHadTurn) this.startReading()
  }

  /** It may be read on: the others have had their turn. */
  onTurn(): void {
    this.#hasHadTurn = false
    if (!this.#isPaused) this.startReading()
  }

  /** Ends the connection after what was written, and says why as far as the protocol can; a client that does not part in time is cut off. */
  abstract close(code: CloseCode, text: string): void

  /** Ends the connection at once. */
  abstract destroy(): void

  protected stopReading(): void {
    this.socket.pause()
  }

  protected startReading(): void {
    this.socket.resume()
  }

  /** Whether what has come has to wait. */
  protected get isWaiting(): boolean {
    return this.#isPaused || this.#hasHadTurn
  }

  /** How many pieces it may still be read in this turn. */
  protected get piecesLeft(): number {
    const turn = turns.number
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#piecesLeft = PIECES_A_TURN
      this.#bytesLeft = BYTES_A_TURN
    }
    return this.#piecesLeft
  }

  /** So much of its turn is used up. */
  protected spend(pieces: number, bytes: number): void {
    this.#piecesLeft -= pieces
    this.#bytesLeft -= bytes
    if ((this.#piecesLeft > 0 && this.#bytesLeft > 0) || this.#hasHadTurn) return
    this.#hasHadTurn = true
    this.stopReading()
    turns.wait(this)
  }

  /** The message that bytes were held for is whole: they are charged as its own from here on, so that a long one passes as a whole. */
  protected release(heldBytes: number): void {
    if (heldBytes > 0) this.handler.onRead(0, -heldBytes)
  }

  /**
   * Charges what was read beside messages: `pieces` that were none by themselves, and of the `bytes` read (and released) those that are in no
   * message, or are held for one. `isNew`: a message that is not whole began in them.
   */
  protected settle(bytes: number, pieces: number, isNew: boolean): void {
    const { deliveredBytes } = this
    this.deliveredBytes = 0
    this.handler.onRead(pieces, Math.max(bytes - deliveredBytes, 0))
    if (isNew && this.heldBytes > 0) this.handler.onUnfinished()
  }

  /** Whether a piece of a message, which ended nothing, is to cost as much as a message. */
  protected isShort(bytes: number): boolean {
    return bytes < SHORT_BYTES
  }

  /** Something came of a client that was closed. */
  protected onBytesAfterClose(bytes: number): void {
    this.#bytesAfterClose += bytes
    if (this.#bytesAfterClose > MAX_BYTES_AFTER_CLOSE) this.socket.destroy()
    else if (this.piecesLeft > 0) this.spend(0, bytes)
  }

  /** Ends our side after what was written; a client that does not end its own in time is cut off. */
  protected endSocket(): void {
    this.socket.end()
    // A socket that is not read would never see the other side's end.
    this.#isPaused = false
    if (!this.#hasHadTurn) this.startReading()
    const timer = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS)
    this.socket.once('close', () => clearTimeout(timer))
  }
}

/** Who is told what happens on a transport. */
export interface TransportHandler {
  readonly clientId: string
  /** A message has come; the buffer is the handler's to keep, and may be a small part of a large one. */
  onMessage(body: Buffer, isBinary: boolean): void
  /** Something has come that is no message and shows that the client lives: whether it is to be answered. */
  onAlive(): boolean
  /** The client's side has answered `ask`, or says so unasked. */
  onAnswer(): void
  /** Something was read beside messages and signs of life: pieces that cost as much as a message, and bytes; less than none are given back. */
  onRead(pieces: number, bytes: number): void
  /** A message has begun, and the rest of it is to come. */
  onUnfinished(): void
  /** The client will say no more, but may still read. */
  onEnd(): void
  /** The client broke the protocol; the transport ends the connection. */
  onProtocolError(error: Error): void
  /** The connection has ended. */
  onClose(): void
}

/** Takes a new client over. `handshake`: the HTTP request that it came with, if it did. */
export type OnClient = (transport: ClientTransport, origin: ClientOrigin, handshake?: Handshake) => TransportHandler
