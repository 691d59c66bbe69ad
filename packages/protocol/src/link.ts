import type { Socket } from 'node:net'
import { msgpack } from './codec.ts'
import { Flag, LinkCommand } from './commands.ts'
import { type Dialect, nativeDialect } from './dialect.ts'
import { GatewayWorkerError } from './errors.ts'
import {
  DEFAULT_MAX_FRAME_BYTES,
  EMPTY,
  type Frame,
  type FrameOrigin,
  HEADER_BYTES,
  payloadBytes,
  writeFrame,
} from './frame.ts'
import { LinkOutput } from './link-output.ts'
import { type Log, silentLog } from './log.ts'
import { FrameParser } from './parser.ts'
import { encodeError, Questions } from './questions.ts'

/** Who is told what happens on a link. May be exchanged at any time, as when a dialer has proved who it is. */
export interface LinkHandler {
  /** A frame that is not about the link itself. It is a view: copy what is kept. */
  onFrame(frame: Frame, link: Link): void
  /** Once, when nothing comes or goes any more; `error` says why, and is missing if a side just ended it. */
  onClose?(link: Link, error: GatewayWorkerError | undefined): void
  /** A legacy gateway's answer, which is no frame; comes only while `takesBareAnswers` is set. A view as well. */
  onBareAnswer?(value: Buffer, link: Link): void
  /** There is room again after the link was full. */
  onDrain?(link: Link): void
  /** The output that waits has reached `bufferSizeBytes`. */
  onFull?(link: Link): void
  /** Some of the output that waited has left. */
  onProgress?(link: Link): void
}

export interface LinkOptions {
  /** Waiting output, in bytes, from which on the link counts as full. Default 10 240 000. */
  bufferSizeBytes?: number
  /** How long a peer that stays may be silent until the link has ended; it is noticed a third later at most. Default 45 000. */
  linkTimeoutMs?: number
  log?: Log
  /** Default 10 MiB. */
  maxFrameBytes?: number
  /** Whether an idle link keeps this process running. Default true. */
  persistent?: boolean
}

const DEFAULT_BUFFER_SIZE_BYTES = 10_240_000
const DEFAULT_LINK_TIMEOUT_MS = 45_000
/** Into how many intervals the timeout is cut; in each something is said, and heard. */
const SILENT_INTERVALS = 3
/** The id of a PING that is to be answered with one. */
const WANTS_PING = 1
const LAST_WORDS_TIMEOUT_MS = 2_000
const LENGTH_BYTES = 4
const TCP_KEEP_ALIVE_MS = 30_000
/** An answer is cut into pieces of this size, so that a long one neither meets the frame ceiling nor holds up others. */
const ANSWER_PIECE_BYTES = 512 * 1024

/**
 * One TCP connection between two processes: frames in, frames out, questions and their answers, keep-alive.
 *
 * The only door for bytes between processes. Frames leave with one write at the end of the turn of the event loop (`link-output.ts`).
 *
 * Invariants: frames leave in the order of the sends; while the link is paused no frame is handed on; nothing is written after the end; every
 * wait ends when the link does; output that is lost at `close` is logged.
 */
export class Link {
  /** How to speak to the other side, when that has dialled. */
  dialect: Dialect = nativeDialect
  handler: LinkHandler
  bufferSizeBytes: number
  readonly #keepAliveMs: number
  readonly #log: Log
  readonly #output: LinkOutput
  /** Asked of the system only when it is wanted: not for each of the connections that last one command. */
  #peer: string | undefined
  readonly #parser: FrameParser
  readonly #persistent: boolean
  readonly #questions = new Questions()
  readonly #socket: Socket
  #error: GatewayWorkerError | undefined
  #flushScheduled = false
  #hasGivenAway = false
  #hasHeard = false
  #hasSaid = false
  #isEnding = false
  #isFull = false
  #isPaused = false
  #keepAlive: NodeJS.Timeout | undefined
  #lastWords: NodeJS.Timeout | undefined
  #onEnded: (() => void) | undefined
  #silentIntervals = 0

  /** `peer` is what `peer` says; if undefined, the address of the socket's other side. */
  constructor(socket: Socket, peer: string | undefined, handler: LinkHandler, options: LinkOptions = {}) {
    const {
      bufferSizeBytes = DEFAULT_BUFFER_SIZE_BYTES,
      linkTimeoutMs = DEFAULT_LINK_TIMEOUT_MS,
      log = silentLog,
      maxFrameBytes = DEFAULT_MAX_FRAME_BYTES,
      persistent = true,
    } = options
    this.handler = handler
    this.bufferSizeBytes = bufferSizeBytes
    this.#peer = peer
    this.#keepAliveMs = linkTimeoutMs / SILENT_INTERVALS
    this.#log = log
    this.#output = new LinkOutput(socket, this.#onProgress)
    this.#parser = new FrameParser(maxFrameBytes)
    this.#persistent = persistent
    this.#socket = socket
    if (!persistent) socket.unref()
    socket.on('data', this.#onData)
    socket.on('end', this.#onSocketEnd)
    socket.on('error', this.#onSocketError)
    socket.on('close', this.#onSocketClose)
  }

  /** "host:port" of the other side, for logs. */
  get peer(): string {
    this.#peer ??= `${this.#socket.remoteAddress}:${this.#socket.remotePort}`
    return this.#peer
  }

  /** The IP address of the other side; '' when the connection has ended. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? ''
  }

  /** Output that the kernel has not taken yet, in bytes. */
  get bufferedBytes(): number {
    return this.#output.bufferedBytes
  }

  /** Why the link is closed, or what to say to someone who finds it so. */
  get closedError(): GatewayWorkerError {
    return this.#error ?? new GatewayWorkerError('LINK_CLOSED', `the link to ${this.peer} is closed`)
  }

  /** Whether nothing goes out any more; `onClose` may still be on its way. */
  get isClosed(): boolean {
    return this.#isEnding
  }

  /** Whether the sender should wait: from `bufferSizeBytes` on until half of it has left. Frames are still taken. */
  get isFull(): boolean {
    return this.#isFull
  }

  set maxFrameBytes(bytes: number) {
    this.#parser.maxFrameBytes = bytes
  }

  /** Whether what comes may be answers of a legacy gateway. */
  set takesBareAnswers(isTaken: boolean) {
    this.#parser.takesBareAnswers = isTaken
  }

  /**
   * Puts a frame behind those that wait; it leaves at the end of this turn. On an ended link it does nothing: its owner was told.
   * Throws FRAME_TOO_LONG.
   */
  send(
    command: number,
    connectionId = 0,
    flag = 0,
    ext: Uint8Array | string = EMPTY,
    body: Uint8Array | string = EMPTY,
    id = 0,
    origin?: FrameOrigin,
  ): void {
    if (this.#isEnding) return
    const length = HEADER_BYTES + payloadBytes(ext) + payloadBytes(body)
    if (length > this.#parser.maxFrameBytes) {
      throw new GatewayWorkerError('FRAME_TOO_LONG', `a frame of ${length} bytes is longer than a peer takes`)
    }
    const output = this.#output
    const offset = output.makeRoom(length)
    writeFrame(output.target, offset, length, command, connectionId, flag, ext, body, id, origin)
    this.#onOutput()
  }

  /** The answer of a legacy gateway: the length of the value, and the value. */
  sendBareAnswer(value: Uint8Array): void {
    if (this.#isEnding) return
    const offset = this.#output.makeRoom(LENGTH_BYTES + value.length)
    const { target } = this.#output
    target.writeUInt32BE(value.length, offset)
    target.set(value, offset + LENGTH_BYTES)
    this.#onOutput()
  }

  /**
   * Sends a command and resolves with the other side's answer (maps come as Map).
   * Rejects with QUESTION_TIMED_OUT, LINK_CLOSED, or what the other side says is wrong.
   */
  ask(
    command: number,
    deadlineMs: number,
    connectionId = 0,
    flag = 0,
    ext: Uint8Array | string = EMPTY,
    body: Uint8Array | string = EMPTY,
  ): Promise<unknown> {
    if (this.#isEnding) return Promise.reject(this.closedError)
    return this.#questions.ask(this.peer, deadlineMs, (id) => this.send(command, connectionId, flag, ext, body, id))
  }

  /** Answers the question `id` with a value. */
  answer(id: number, value: unknown): void {
    const bytes = msgpack.encode(value)
    let at = 0
    for (; bytes.length - at > ANSWER_PIECE_BYTES; at += ANSWER_PIECE_BYTES) {
      this.send(LinkCommand.ANSWER, 0, Flag.MORE, EMPTY, bytes.subarray(at, at + ANSWER_PIECE_BYTES), id)
    }
    this.send(LinkCommand.ANSWER, 0, 0, EMPTY, bytes.subarray(at), id)
  }

  /** Answers the question `id` with what went wrong. */
  answerError(id: number, error: GatewayWorkerError): void {
    this.send(LinkCommand.ANSWER, 0, Flag.ERROR, EMPTY, encodeError(error), id)
  }

  /**
   * Writes what waits. Nothing comes back if the kernel takes it all, or if the peer is behind; else a promise that resolves when it has, when the peer
   * has been behind for half a second, or when the link has closed.
   */
  written(): Promise<void> | undefined {
    this.flush()
    return this.#output.written()
  }

  /** Stops reading, so that the other side's output piles up there. The rest of the current chunk waits here. */
  pause(): void {
    this.#isPaused = true
    this.#parser.stop()
    this.#socket.pause()
  }

  /** Reads again, from the end of this turn on. */
  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#parser.resume()
    process.nextTick(this.#onResumed)
  }

  /** For a peer that stays, and says PING too: finds out when it is gone. */
  startKeepAlive(): void {
    this.#socket.setNoDelay(true)
    this.#keepAlive = setInterval(this.#onKeepAlive, this.#keepAliveMs).unref()
  }

  /** For a peer that stays, and does not: leaves it to TCP to find out, which asks after `idleMs` without a word, and waits ten seconds. */
  relyOnTcp(idleMs = TCP_KEEP_ALIVE_MS): void {
    this.#socket.setNoDelay(true)
    this.#socket.setKeepAlive(true, idleMs)
  }

  /** Writes what waits, as far as the kernel takes it; called at the end of each turn with output, and before a process exits. */
  readonly flush = (): void => {
    this.#flushScheduled = false
    if (!this.#output.flush()) return
    this.#hasSaid = true
    if (this.#output.isBacklogged && !this.#persistent) this.#socket.ref()
    this.#onGivenAway()
  }

  /**
   * Ends the link after what waits was written, for which the other side has `timeoutMs`. Resolves when it is written, or lost, which is logged.
   */
  close(timeoutMs = LAST_WORDS_TIMEOUT_MS): Promise<void> {
    if (this.#isEnding) return Promise.resolve()
    this.flush()
    this.#isEnding = true
    this.#lastWords = setTimeout(() => this.#onLastWordsTimeout(timeoutMs), timeoutMs)
    return new Promise((resolve) => {
      this.#onEnded = resolve
      if (this.bufferedBytes === 0) this.#endSocket()
    })
  }

  /** Ends the link at once; `error` is what its owner and open questions are told. */
  destroy(error?: GatewayWorkerError): void {
    if (error !== undefined) this.#peer = this.peer // who it was cannot be asked afterwards
    this.#error ??= error
    this.#isEnding = true
    this.#socket.destroy()
  }

  /** Says REFUSED with the error, then ends the link. Nothing is heard any more. */
  refuse(error: GatewayWorkerError): void {
    this.#peer = this.peer // who it was cannot be asked afterwards
    this.#error ??= error
    this.#socket.off('data', this.#onData).resume()
    this.send(LinkCommand.REFUSED, 0, 0, EMPTY, encodeError(error))
    void this.close()
  }

  #onOutput(): void {
    if (!this.#flushScheduled) {
      this.#flushScheduled = true
      setImmediate(this.flush)
    }
    if (!this.#isFull && this.bufferedBytes >= this.bufferSizeBytes) {
      this.#isFull = true
      this.handler.onFull?.(this)
    }
  }

  readonly #onProgress = (): void => {
    this.#onGivenAway()
    if (!this.#flushScheduled) this.flush() // else the rest of the turn is about to come
    if (!this.#output.isBacklogged && !this.#persistent) this.#socket.unref()
    this.handler.onProgress?.(this)
  }

  #onGivenAway(): void {
    this.#hasGivenAway = true
    if (this.#isEnding && this.bufferedBytes === 0) this.#endSocket()
    this.#checkRoom()
  }

  /** All has been written. The other side may take its time to end its own. */
  #endSocket(): void {
    this.#socket.end()
    this.#lastWords?.unref()
    this.#onEnded?.()
  }

  readonly #onLastWordsTimeout = (timeoutMs: number): void => {
    const lostBytes = this.bufferedBytes
    if (lostBytes > 0) {
      const words = `${this.peer} did not take the last ${lostBytes} bytes within ${timeoutMs} ms: they are lost`
      this.#error ??= new GatewayWorkerError('LINK_CLOSED', words)
      this.#log.warn({ peer: this.peer, lostBytes }, words)
    }
    this.#onEnded?.()
    this.#socket.destroy()
  }

  #checkRoom(): void {
    if (!this.#isFull || this.bufferedBytes > this.bufferSizeBytes / 2) return
    this.#isFull = false
    this.handler.onDrain?.(this)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#hasHeard = true
    this.#parse(chunk)
  }

  /** What came before the pause goes first. */
  readonly #onResumed = (): void => {
    if (this.#isPaused || this.#socket.destroyed) return
    this.#parse(EMPTY)
    if (!this.#isPaused) this.#socket.resume()
  }

  #parse(chunk: Buffer): void {
    try {
      this.#parser.push(chunk, this.#onFrame, this.#onBareAnswer)
      // PHP's backends stand still until they are answered.
      if (this.dialect !== nativeDialect) this.flush()
    } catch (error) {
      if (error instanceof GatewayWorkerError) {
        this.destroy(error)
        return
      }
      this.#log.error({ peer: this.peer, err: error }, 'a frame could not be handled, so its link is closed')
      this.destroy(new GatewayWorkerError('BAD_PARAMETERS', 'a frame could not be handled', { cause: error }))
    }
  }

  readonly #onFrame = (frame: Frame): void => {
    if (this.#isEnding) return
    if (frame.command === LinkCommand.ANSWER) this.#questions.onAnswer(frame)
    else if (frame.command !== LinkCommand.PING) this.handler.onFrame(frame, this)
    else if (frame.id === WANTS_PING && this.#keepAlive !== undefined) this.#ping()
  }

  readonly #onBareAnswer = (value: Buffer): void => {
    if (!this.#isEnding) this.handler.onBareAnswer?.(value, this)
  }

  readonly #onKeepAlive = (): void => {
    const isAlive = this.#seesLife()
    // A silent peer is asked, because its own interval may be longer than we wait.
    if (!this.#hasHeard) this.#ping(WANTS_PING)
    else if (!this.#hasSaid) this.#ping()
    this.flush() // now, so that it does not count as said in the interval that begins
    this.#hasSaid = false
    this.#silentIntervals = isAlive ? 0 : this.#silentIntervals + 1
    this.#hasHeard = false
    this.#hasGivenAway = false
    if (this.#silentIntervals < SILENT_INTERVALS) return
    // If it was this process that stood still, what the peer said lies in the kernel: it is read before the verdict.
    setImmediate(() => {
      if (this.#seesLife()) return
      this.destroy(new GatewayWorkerError('LINK_TIMED_OUT', `nothing was heard from ${this.peer}`))
    })
  }

  #ping(id = 0): void {
    this.send(LinkCommand.PING, 0, 0, EMPTY, EMPTY, id)
  }

  /** A peer that we do not read cannot be heard, but it takes what we say. */
  #seesLife(): boolean {
    return this.#hasHeard || (this.#isPaused && (this.#hasGivenAway || this.bufferedBytes === 0))
  }

  /** The other side says no more. What it has asked for is still written. */
  readonly #onSocketEnd = (): void => {
    this.flush()
    if (this.bufferedBytes === 0) this.#socket.destroy()
    else void this.close(this.#keepAliveMs * SILENT_INTERVALS)
  }

  readonly #onSocketError = (cause: Error): void => {
    this.#error ??= new GatewayWorkerError('LINK_CLOSED', `the link to ${this.peer} broke: ${cause.message}`, { cause })
  }

  readonly #onSocketClose = (): void => {
    this.#isEnding = true
    clearInterval(this.#keepAlive)
    clearTimeout(this.#lastWords)
    this.#onEnded?.()
    this.#questions.rejectAll(() => this.closedError)
    this.#output.drop()
    this.handler.onClose?.(this, this.#error)
  }
}
