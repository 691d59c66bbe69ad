import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, EMPTY, Frame, HEADER_BYTES } from './frame.ts'

const LENGTH_BYTES = 4
/** The longest answer that is taken of a legacy gateway, which cannot send it in pieces. */
const MAX_BARE_ANSWER_BYTES = 256 * 1024 * 1024
/** What the answers of a legacy gateway begin with: null, bool, int, string, array or object. No command of a gateway has such a number. */
const PHP_TYPES = new Set(Buffer.from('NbisaO'))
/** Up to here room for a whole frame is made at once; beyond it, room grows with what really arrived. */
const EAGER_BYTES = 1024 * 1024

/**
 * Cuts a stream of bytes into frames. Pure: no socket, no timer.
 *
 * Invariants: a declared length is checked before anything is kept for it; the bytes held are those of one unfinished frame, at most twice
 * what arrived of it beyond 1 MiB, and the rest of the chunk in which it was stopped; a frame that arrives whole in a chunk is not copied; while it
 * is stopped no frame is delivered; after an error the parser is of no use.
 */
export class FrameParser {
  /** The longest frame that is taken, in bytes; may be raised when the peer has said who it is. */
  maxFrameBytes: number
  /** Whether answers of a legacy gateway may stand between the frames (wire.md section 3): uint32 length, then that many bytes. */
  takesBareAnswers = false
  #filled = 0
  #isStopped = false
  #pending: Buffer = EMPTY
  /** What came while it was stopped. */
  #rest: Buffer = EMPTY
  #wanted = 0

  constructor(maxFrameBytes = DEFAULT_MAX_FRAME_BYTES) {
    this.maxFrameBytes = maxFrameBytes
  }

  /**
   * Takes the next bytes and calls `onFrame` for each frame that is complete, `onBareAnswer` for each answer that is none.
   * Throws FRAME_TOO_SHORT, FRAME_TOO_LONG or FRAME_MALFORMED at the first frame that cannot be one.
   */
  push(bytes: Buffer, onFrame: (frame: Frame) => void, onBareAnswer?: (value: Buffer) => void): void {
    const chunk = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = EMPTY
    let offset = 0
    while (offset < chunk.length) {
      if (this.#isStopped) {
        this.#rest = chunk.subarray(offset)
        return
      }
      // Enough to know how long it is; what is complete is longer.
      const headBytes = this.takesBareAnswers ? LENGTH_BYTES + 1 : LENGTH_BYTES
      if (this.#filled > 0) {
        offset = this.#collect(chunk, offset)
        if (this.#filled < this.#wanted) return
        if (this.#wanted === headBytes) {
          this.#wanted = this.#measure(this.#pending, 0)
          continue
        }
        const whole = this.#pending
        this.#pending = EMPTY
        this.#filled = 0
        this.#deliver(whole, 0, this.#wanted, onFrame, onBareAnswer)
        continue
      }
      const left = chunk.length - offset
      const wanted = left < headBytes ? headBytes : this.#measure(chunk, offset)
      if (left < wanted) {
        this.#wanted = wanted
        offset = this.#collect(chunk, offset)
        return
      }
      const start = offset
      offset += wanted
      this.#deliver(chunk, start, wanted, onFrame, onBareAnswer)
    }
  }

  /** Delivers no frame behind the one of now; what comes is kept. */
  stop(): void {
    this.#isStopped = true
  }

  /** Delivers frames again, from the next `push` on, which may be of nothing new. */
  resume(): void {
    this.#isStopped = false
  }

  #deliver(
    bytes: Buffer,
    start: number,
    length: number,
    onFrame: (frame: Frame) => void,
    onBareAnswer: ((value: Buffer) => void) | undefined,
  ): void {
    if (this.#isBareAnswer(bytes, start)) onBareAnswer?.(bytes.subarray(start + LENGTH_BYTES, start + length))
    else onFrame(this.#checkFrame(bytes, start))
  }

  #isBareAnswer(bytes: Buffer, offset: number): boolean {
    return this.takesBareAnswers && PHP_TYPES.has(bytes[offset + LENGTH_BYTES]!)
  }

  /** Copies what still belongs to the unfinished frame and returns where the rest of the chunk begins. */
  #collect(chunk: Buffer, offset: number): number {
    const end = Math.min(chunk.length, offset + this.#wanted - this.#filled)
    const filled = this.#filled + end - offset
    if (filled > this.#pending.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#wanted, Math.max(EAGER_BYTES, filled * 2)))
      this.#pending.copy(grown, 0, 0, this.#filled)
      this.#pending = grown
    }
    chunk.copy(this.#pending, this.#filled, offset, end)
    this.#filled = filled
    return end
  }

  /** How many bytes what begins here has in all. */
  #measure(bytes: Buffer, offset: number): number {
    const length = bytes.readUInt32BE(offset)
    if (this.#isBareAnswer(bytes, offset)) {
      if (length >= 2 && length <= MAX_BARE_ANSWER_BYTES) return LENGTH_BYTES + length
      throw new GatewayWorkerError('FRAME_MALFORMED', `an answer declares ${length} bytes`)
    }
    if (length < HEADER_BYTES) {
      throw new GatewayWorkerError('FRAME_TOO_SHORT', `a frame declares ${length} bytes, fewer than its header has`)
    }
    if (length > this.maxFrameBytes) {
      throw new GatewayWorkerError(
        'FRAME_TOO_LONG',
        `a frame declares ${length} bytes, more than ${this.maxFrameBytes}`,
      )
    }
    return length
  }

  #checkFrame(bytes: Buffer, offset: number): Frame {
    const frame = new Frame(bytes, offset)
    if (frame.extLength > frame.length - HEADER_BYTES) {
      throw new GatewayWorkerError(
        'FRAME_MALFORMED',
        `a frame of ${frame.length} bytes declares ${frame.extLength} bytes of ext`,
      )
    }
    return frame
  }
}
