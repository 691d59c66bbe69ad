import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'

/** A line that is longer than this may be cut by one of another process. */
const LONGEST_LINE = 1_000_000

/** How long the last output of children may take once they have ended: a child of theirs may hold it open for ever. */
const LAST_OUTPUT_TIMEOUT_MS = 200

/** The log of a cluster in the background: the lines of the master and of all its children in one file. */
export class LogFile {
  readonly path: string
  readonly #collected = new Set<Promise<unknown>>()
  #descriptor: number

  /** Throws the system's error when the file cannot be written. */
  constructor(path: string) {
    this.path = path
    this.#descriptor = openLog(path)
  }

  /** Writes what a child's stream brings line by line, so that the lines of different processes do not mix. */
  collect(stream: Readable): void {
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      rest += text
      const end = rest.length > LONGEST_LINE ? rest.length : rest.lastIndexOf('\n') + 1
      if (end > 0) this.write(rest.slice(0, end))
      rest = rest.slice(end)
    })
    const ended = once(stream, 'close').then(() => {
      if (rest !== '') this.write(`${rest}\n`)
      this.#collected.delete(ended)
    })
    this.#collected.add(ended)
  }

  /** Resolves when all that the children wrote is in the file; they have ended. */
  async flush(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise((resolve) => {
      timer = setTimeout(resolve, LAST_OUTPUT_TIMEOUT_MS)
    })
    await Promise.race([Promise.all(this.#collected), timeout])
    clearTimeout(timer)
  }

  /** Goes on in a new file of the same name, after somebody has moved the old one; throws, and stays, when there can be none. */
  reopen(): void {
    const descriptor = openLog(this.path)
    closeSync(this.#descriptor)
    this.#descriptor = descriptor
  }

  write(text: string): void {
    try {
      writeSync(this.#descriptor, text)
    } catch {
      // A disk that is full must not end the cluster.
    }
  }
}

/** For its owner alone: a log can hold what clients sent. */
function openLog(path: string): number {
  return openSync(path, 'a', 0o600)
}
