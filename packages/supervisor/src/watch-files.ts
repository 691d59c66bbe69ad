import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { statsOf } from './stats-of.ts'

/** Editors write a file in several steps; what happens within this time is one change. */
const SETTLE_MS = 50

/** How often files are looked at where the system does not tell of changes. */
const POLL_MS = 1000

/** Calls back once when one of its files has a new content, also when an editor put another file in its place. */
export class FileWatcher {
  readonly #directories = new Map<string, FSWatcher>()
  readonly #files = new Map<string, string | undefined>()
  readonly #onChange: (file: string) => void
  readonly #onPoll: (error: NodeJS.ErrnoException) => void
  #polling: NodeJS.Timeout | undefined
  #settling: NodeJS.Timeout | undefined

  /** `onPoll` is called when the system tells of no more changes, and files are looked at every second instead. */
  constructor(onChange: (file: string) => void, onPoll: (error: NodeJS.ErrnoException) => void) {
    this.#onChange = onChange
    this.#onPoll = onPoll
  }

  add(file: string): void {
    if (this.#files.has(file)) return
    this.#files.set(file, fingerprint(file))
    const directory = dirname(file)
    // The directory, because a watched file that is replaced is watched no longer.
    if (this.#polling !== undefined || this.#directories.has(directory)) return
    try {
      this.#directories.set(directory, this.#watch(directory))
    } catch (error) {
      this.#polling = setInterval(() => this.#compare(), POLL_MS)
      this.#onPoll(error as NodeJS.ErrnoException)
    }
  }

  close(): void {
    clearTimeout(this.#settling)
    clearInterval(this.#polling)
    for (const watcher of this.#directories.values()) watcher.close()
    this.#directories.clear()
  }

  #watch(directory: string): FSWatcher {
    const watcher = watch(directory, (_event, name) => {
      if (name !== null && ![...this.#files.keys()].some((file) => basename(file) === name)) return
      clearTimeout(this.#settling)
      this.#settling = setTimeout(() => this.#compare(), SETTLE_MS)
    })
    // A directory that goes away is no reason to end; the files in it just do not change any more.
    watcher.on('error', () => watcher.close())
    return watcher
  }

  #compare(): void {
    for (const [file, before] of this.#files) {
      const now = fingerprint(file)
      // A file that is gone is about to be written again, or a mistake that a restart would only make worse.
      if (now === undefined || now === before) continue
      this.close()
      this.#onChange(file)
      return
    }
  }
}

function fingerprint(file: string): string | undefined {
  const stats = statsOf(file)
  return stats && `${stats.ino}:${stats.mtimeMs}:${stats.size}`
}
