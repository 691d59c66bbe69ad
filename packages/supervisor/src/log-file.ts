import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { Output } from './output.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK = 0, O_WRONLY } = constants

/** A line that is longer than this may be cut by one of another process. */
const LONGEST_LINE = 1_000_000

/** How long the last output of children may take once they have ended: a child of theirs may hold it open forever. */
const LAST_OUTPUT_TIMEOUT_MS = 200

/** The log of a cluster in the background: the lines of the master and of all its children in one file. */
export class LogFile extends Output {
  readonly #collected = new Set<Promise<unknown>>()
  readonly #paused = new Set<Readable>()
  #path: string

  /** Throws the system's error when the file cannot be written. */
  constructor(path: string) {
    super(openLog(path))
    this.#path = path
    this.onDrain(() => {
      for (const stream of this.#paused) stream.resume()
      this.#paused.clear()
    })
  }

  get path(): string {
    return this.#path
  }

  /** Passes on what a child writes, line by line, so that the lines of different processes do not mix. */
  collect(stream: Readable): void {
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      rest += text
      const end = rest.length > LONGEST_LINE ? rest.length : rest.lastIndexOf('\n') + 1
      const isWaiting = end > 0 && !this.write(rest.slice(0, end))
      rest = rest.slice(end)
      if (!isWaiting) return
      // The child finds out, and drops and counts by itself.
      stream.pause()
      this.#paused.add(stream)
    })
    const ended = once(stream, 'close').then(() => {
      if (rest !== '') this.write(`${rest}\n`)
      this.#collected.delete(ended)
    })
    this.#collected.add(ended)
  }

  /** Resolves when all that the children wrote is here; they have ended. */
  async flush(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise((resolve) => {
      timer = setTimeout(resolve, LAST_OUTPUT_TIMEOUT_MS)
    })
    await Promise.race([Promise.all(this.#collected), timeout])
    clearTimeout(timer)
  }

  /** Goes on in a new file, of the same name after somebody has moved the old one; throws, and stays, when there can be none. */
  reopen(path = this.#path): void {
    closeSync(this.replaceDescriptor(openLog(path)))
    this.#path = path
  }
}

/** For its owner alone: a log can hold what clients sent. Where it is a named pipe, nobody waits for its reader. */
export function openLog(path: string): number {
  return openSync(path, O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY, 0o600)
}
