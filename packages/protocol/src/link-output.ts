import type { Socket } from 'node:net'
import { EMPTY } from './frame.ts'

/** Somebody who waits until what was sent before has left. */
interface WrittenWaiter {
  /** How many bytes of the link's whole output have to leave. */
  readonly mark: number
  resolve(): void
  readonly since: number
}

/** A peer that has not taken its output for so long is behind, and nobody waits for it until it has caught up. */
const BEHIND_MS = 500
const FIRST_PAGE_BYTES = 1024
const PAGE_BYTES = 64 * 1024
/** What a socket gets at once. It reports progress only when all of it is gone, so this decides how slow a peer may be and still be seen to read. */
const BATCH_BYTES = 512 * 1024

/**
 * The output of a link: frames are written into a page of memory, which the socket gets at the end of the turn and which is used again at once if the
 * kernel took it all. While the socket holds bytes that the kernel did not take, frames stay here.
 *
 * Invariants: what waits takes as much memory as it has bytes, two pages aside; bytes leave in the order in which room was made for them; the socket
 * is given nothing while it holds something.
 */
export class LinkOutput {
  /** Whether the socket held something when it was last given output, and has not reported since that all has left. */
  isBacklogged = false
  /** Where `makeRoom` has made room. */
  target: Buffer = EMPTY
  readonly #onProgress: () => void
  readonly #socket: Socket
  #behindTimer: NodeJS.Timeout | undefined
  /** Bytes that the socket has been given so far. */
  #givenBytes = 0
  #isBehind = false
  #page: Buffer = EMPTY
  /** Where the part of the page begins that the socket has not been given. */
  #pageStart = 0
  #pageUsed = 0
  /** A page that is free, and one that will be when all has left. */
  #spare: Buffer | undefined
  #spareSoon: Buffer | undefined
  /** What comes before that part of the page. */
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #waiters: WrittenWaiter[] = []

  /** `onProgress` is called when some of the output that the kernel did not take at once has left. */
  constructor(socket: Socket, onProgress: () => void) {
    this.#socket = socket
    this.#onProgress = onProgress
  }

  /** Output that the kernel has not taken yet, in bytes. */
  get bufferedBytes(): number {
    return this.#ungivenBytes + this.#socket.writableLength
  }

  get #ungivenBytes(): number {
    return this.#waitingBytes + this.#pageUsed - this.#pageStart
  }

  /** Makes room behind what waits, and returns where it begins in `target`. */
  makeRoom(length: number): number {
    const offset = this.#pageUsed
    if (offset + length > this.#page.length) return this.#makeRoomElsewhere(length)
    this.#pageUsed += length
    this.target = this.#page
    return offset
  }

  /** Gives the socket what waits, as far as the kernel takes it. False if there was nothing to give, or the socket still holds something. */
  flush(): boolean {
    const socket = this.#socket
    if (this.#ungivenBytes === 0 || socket.writableLength > 0 || socket.destroyed) return false
    do this.#giveBatch()
    while (socket.writableLength === 0 && this.#ungivenBytes > 0)
    this.#onGiven()
    return true
  }

  /**
   * Nothing if all has left, or if the peer is behind; else a promise that resolves when what waits now has left, when the peer has been behind for half
   * a second, or when the link has closed.
   */
  written(): Promise<void> | undefined {
    if (this.#isBehind || this.bufferedBytes === 0 || this.#socket.destroyed) return undefined
    const mark = this.#givenBytes + this.#ungivenBytes
    return new Promise((resolve) => {
      this.#waiters.push({ mark, resolve, since: performance.now() })
      this.#behindTimer ??= setTimeout(this.#onBehindTimer, BEHIND_MS).unref()
    })
  }

  /** The socket has closed: what waits is lost. */
  drop(): void {
    clearTimeout(this.#behindTimer)
    this.#release(Number.POSITIVE_INFINITY)
    this.target = EMPTY
    this.#page = EMPTY
    this.#pageStart = 0
    this.#pageUsed = 0
    this.#spare = undefined
    this.#spareSoon = undefined
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #makeRoomElsewhere(length: number): number {
    if (this.#pageUsed > this.#pageStart) this.#enqueue(this.#page.subarray(this.#pageStart, this.#pageUsed))
    if (length > PAGE_BYTES) {
      this.#pageStart = this.#pageUsed
      this.target = Buffer.allocUnsafeSlow(length)
      this.#enqueue(this.target)
      return 0
    }
    if (this.#page.length === PAGE_BYTES) this.#spareSoon = this.#page
    // A link with little output, such as PHP's that last one command, needs no whole page.
    const pageBytes = this.#page.length === 0 && length <= FIRST_PAGE_BYTES ? FIRST_PAGE_BYTES : PAGE_BYTES
    this.#page = this.#spare ?? Buffer.allocUnsafeSlow(pageBytes)
    this.#spare = undefined
    this.#pageStart = 0
    this.#pageUsed = length
    this.target = this.#page
    return 0
  }

  #enqueue(bytes: Buffer): void {
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
  }

  #giveBatch(): void {
    if (this.#waiting.length === 0) {
      this.#givePage()
      return
    }
    this.#socket.cork()
    let room = BATCH_BYTES
    while (room > 0 && this.#waiting.length > 0) {
      const next = this.#waiting[0]!
      const bytes = next.length <= room ? next : next.subarray(0, room)
      if (bytes === next) this.#waiting.shift()
      else this.#waiting[0] = next.subarray(room)
      this.#waitingBytes -= bytes.length
      room -= bytes.length
      this.#give(bytes)
    }
    if (room > 0 && this.#pageUsed > this.#pageStart) this.#givePage()
    this.#socket.uncork()
  }

  #givePage(): void {
    const bytes = this.#page.subarray(this.#pageStart, this.#pageUsed)
    this.#pageStart = this.#pageUsed
    this.#give(bytes)
  }

  #give(bytes: Buffer): void {
    this.#givenBytes += bytes.length
    this.#socket.write(bytes, this.#onWritten)
  }

  readonly #onWritten = (): void => {
    // Most often the kernel had it at once. If the socket is gone, what waited is lost, and there is no progress.
    if (!this.isBacklogged || this.#socket.destroyed) return
    this.#onGiven()
    this.#onProgress()
  }

  #onGiven(): void {
    const { writableLength } = this.#socket
    if (this.#waiters.length > 0) this.#release(this.#givenBytes - writableLength)
    this.isBacklogged = writableLength > 0 || this.#ungivenBytes > 0
    if (this.isBacklogged) return
    this.#isBehind = false
    this.#pageStart = 0
    this.#pageUsed = 0
    this.#spare ??= this.#spareSoon
    this.#spareSoon = undefined
  }

  /** Resolves whoever waits for no more than so many bytes to leave. */
  #release(leftBytes: number): void {
    const first = this.#waiters.findIndex(({ mark }) => mark > leftBytes)
    for (const { resolve } of this.#waiters.splice(0, first < 0 ? this.#waiters.length : first)) resolve()
  }

  readonly #onBehindTimer = (): void => {
    this.#behindTimer = undefined
    const [first] = this.#waiters
    if (first === undefined) return
    const leftMs = first.since + BEHIND_MS - performance.now()
    if (leftMs > 0) {
      this.#behindTimer = setTimeout(this.#onBehindTimer, Math.ceil(leftMs)).unref()
      return
    }
    this.#isBehind = true
    this.#release(Number.POSITIVE_INFINITY)
  }
}
