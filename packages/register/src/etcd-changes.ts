import type { Readable } from 'node:stream'

/** A stream of changes that etcd tells as they happen: only that there are some, as whoever is told reads the whole list anew. */
export class EtcdChanges {
  readonly #persistent: boolean
  readonly #stream: Readable
  #end: Error | undefined
  #isNews = false
  #wake = () => {}

  /** `persistent`: whether waiting keeps this process running. */
  constructor(stream: Readable, persistent: boolean) {
    this.#persistent = persistent
    this.#stream = stream
    stream.on('data', () => this.#onNews())
    stream.on('error', (error) => this.#onEnd(error))
    stream.on('close', () => this.#onEnd(new Error('it ended the connection')))
  }

  /** Resolves at the next change, or that which came since the last call, or after a while. Rejects when the stream has ended. */
  async next(timeoutMs: number): Promise<void> {
    if (!this.#isNews && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs)
        if (!this.#persistent) timer.unref()
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    if (this.#end !== undefined) throw this.#end
    this.#isNews = false
  }

  close(): void {
    this.#stream.destroy()
  }

  #onNews(): void {
    this.#isNews = true
    this.#wake()
  }

  #onEnd(error: Error): void {
    this.#end ??= error
    this.#wake()
  }
}
