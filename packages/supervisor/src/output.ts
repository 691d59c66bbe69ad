import { writeSync } from 'node:fs'

/** What cannot be written waits, up to this size (or one line, however long); the rest is dropped and counted. */
const MAX_WAITING_BYTES = 1_048_576

/** The pause between two attempts to write doubles from the first to the last. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 1000

/** How long the last lines of a process may take: as long as they get on, but no longer than the second. */
const STUCK_FLUSH_MS = 250
const FLUSH_TIMEOUT_MS = 1000
const FLUSH_PAUSE_MS = 5

const NEWLINE = 0x0a

/**
 * Writes to a descriptor that may be full, closed or unread, without ever blocking, throwing or growing: each line is written at once where
 * that is possible. What is refused waits in a bounded buffer and is tried again; what does not fit is dropped. The descriptor has to be
 * non-blocking if it is a pipe, socket or terminal.
 */
export class Output {
  /** Called with the number of lines that were dropped, once output works again. */
  onDropped: (lines: number) => void = (lines) => this.write(`${lines} lines of output were dropped\n`)
  readonly #onDrain = new Set<() => void>()
  #descriptor: number
  #droppedLines = 0
  readonly #prepare: () => void
  #pauseMs = FIRST_PAUSE_MS
  #retry: NodeJS.Timeout | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0

  /** `prepare` is called before each write. */
  constructor(descriptor: number, prepare: () => void = () => {}) {
    this.#descriptor = descriptor
    this.#prepare = prepare
    process.on('exit', () => this.#flush())
  }

  /** From now on calls `onDrain` when nothing waits any more. */
  onDrain(onDrain: () => void): void {
    this.#onDrain.add(onDrain)
  }

  /** False while output waits. */
  write(text: string | Uint8Array): boolean {
    const bytes = typeof text === 'string' ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.length)
    if (this.#waiting.length === 0) {
      const written = this.#tryWrite(bytes)
      if (written === bytes.length) return true
      this.#enqueue(bytes.subarray(written))
      this.#retryLater()
    } else this.#enqueue(bytes)
    return false
  }

  /** Writes what waits, at the end of the process; gives up when nothing moves. */
  #flush(): void {
    const startedAt = performance.now()
    let movedAt = startedAt
    while (this.#waiting.length > 0) {
      const now = performance.now()
      if (this.#writeWaiting()) movedAt = now
      else if (now - movedAt > STUCK_FLUSH_MS || now - startedAt > FLUSH_TIMEOUT_MS) return
      else pause(FLUSH_PAUSE_MS)
    }
  }

  /** Goes on with another descriptor, and returns the one before. */
  protected replaceDescriptor(descriptor: number): number {
    const former = this.#descriptor
    this.#descriptor = descriptor
    this.#pauseMs = FIRST_PAUSE_MS
    if (this.#waiting.length > 0) this.#retryLater()
    return former
  }

  #enqueue(bytes: Buffer): void {
    // Once something is missing, all is until the gap is reported, so that the report is where the gap is.
    const isTooMuch = this.#waiting.length > 0 && this.#waitingBytes + bytes.length > MAX_WAITING_BYTES
    if (this.#droppedLines > 0 || isTooMuch) {
      this.#droppedLines += countLines(bytes)
      return
    }
    // A view would keep the whole buffer of a caller, who may also change it.
    this.#waiting.push(Buffer.from(bytes))
    this.#waitingBytes += bytes.length
  }

  /** Writes as much as the descriptor takes. */
  #tryWrite(bytes: Buffer): number {
    let written = 0
    try {
      this.#prepare()
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written)
    } catch {
      // Nobody reads (EAGAIN), the disk is full (ENOSPC), the reader or the terminal is gone (EPIPE, EIO): it may work again.
    }
    return written
  }

  /** Whether something could be written. */
  #writeWaiting(): boolean {
    const before = this.#waitingBytes
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting as [Buffer]
      const written = this.#tryWrite(first)
      this.#waitingBytes -= written
      if (written < first.length) {
        this.#waiting[0] = first.subarray(written)
        break
      }
      this.#waiting.shift()
    }
    if (this.#waiting.length === 0) this.#onEmpty()
    return this.#waitingBytes < before
  }

  #onEmpty(): void {
    const lines = this.#droppedLines
    this.#droppedLines = 0
    if (lines > 0) this.onDropped(lines)
    if (this.#waiting.length > 0) return
    for (const onDrain of this.#onDrain) onDrain()
  }

  #retryLater(): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => {
      this.#pauseMs = this.#writeWaiting() ? FIRST_PAUSE_MS : Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
      if (this.#waiting.length > 0) this.#retryLater()
    }, this.#pauseMs)
    this.#retry.unref()
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1
  return Math.max(1, lines)
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
