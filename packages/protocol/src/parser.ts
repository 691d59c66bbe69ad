import { GatewayWorkerError } from './errors.ts'
import { DEFAULT_MAX_FRAME_BYTES, Frame, HEADER_BYTES } from './frame.ts'

const LENGTH_BYTES = 4
/** Up to here room for a whole frame is made at once; beyond it, room grows with what really arrived. */
const EAGER_BYTES = 1024 * 1024

/**
 * Cuts a stream of bytes into frames. Pure: no socket, no timer.
 *
 * Invariants: a declared length is checked before anything is kept for it; the bytes held are those of one unfinished frame and
 * at most twice what arrived of it beyond 1 MiB; a frame that arrives whole in a chunk is not copied; after an error the parser is of no use.
 */
export class FrameParser {
  /** The longest frame that is taken, in bytes; may be raised when the peer has said who it is. */
  maxFrameBytes: number
  #pending = Buffer.alloc(0)
  #filled = 0
  #wanted = 0

  constructor(maxFrameBytes = DEFAULT_MAX_FRAME_BYTES) {
    this.maxFrameBytes = maxFrameBytes
  }

  /**
   * Takes the next bytes and calls `onFrame` for each frame that is complete.
   * Throws FRAME_TOO_SHORT, FRAME_TOO_LONG or FRAME_MALFORMED at the first frame that cannot be one.
   */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let offset = 0
    while (offset < chunk.length) {
      if (this.#filled > 0) {
        offset = this.#collect(chunk, offset)
        if (this.#filled < this.#wanted) return
        if (this.#wanted === LENGTH_BYTES) {
          this.#wanted = this.#checkLength(this.#pending, 0)
          continue
        }
        const frame = this.#checkFrame(this.#pending, 0)
        this.#pending = Buffer.alloc(0)
        this.#filled = 0
        onFrame(frame)
        continue
      }
      const left = chunk.length - offset
      const wanted = left < LENGTH_BYTES ? LENGTH_BYTES : this.#checkLength(chunk, offset)
      if (left < wanted) {
        this.#wanted = wanted
        offset = this.#collect(chunk, offset)
        return
      }
      const frame = this.#checkFrame(chunk, offset)
      offset += wanted
      onFrame(frame)
    }
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

  #checkLength(bytes: Buffer, offset: number): number {
    const length = bytes.readUInt32BE(offset)
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
