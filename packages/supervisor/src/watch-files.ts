import { type FSWatcher, statSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** Editors write a file in several steps; what happens within this time is one change. */
const SETTLE_MS = 50

/** Calls back once when one of its files has a new content, also when an editor put another file in its place. */
export class FileWatcher {
  readonly #directories = new Map<string, FSWatcher>()
  readonly #files = new Map<string, string | undefined>()
  readonly #onChange: (file: string) => void
  #settling: NodeJS.Timeout | undefined

  constructor(onChange: (file: string) => void) {
    this.#onChange = onChange
  }

  add(file: string): void {
    if (this.#files.has(file)) return
    this.#files.set(file, fingerprint(file))
    const directory = dirname(file)
    // The directory, because a watched file that is replaced is watched no longer.
    if (!this.#directories.has(directory)) this.#directories.set(directory, this.#watch(directory))
  }

  close(): void {
    clearTimeout(this.#settling)
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
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats && `${stats.ino}:${stats.mtimeMs}:${stats.size}`
}
