/** What a test may wait for one thing; generous, because it only decides how long a failure takes. */
const DEADLINE_MS = 5_000

/** Things that came, waiting until a test asks for them; a test that asks first waits for them. */
export class Inbox<T> {
  readonly #items: T[] = []
  #wake: (() => void) | undefined

  /** How many have come and were not asked for. */
  get size(): number {
    return this.#items.length
  }

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** The next one, in the order of arrival. */
  async next(): Promise<T> {
    await this.#until(() => this.#items.length > 0, 'the next item')
    return this.#items.shift()!
  }

  /** The next `count`. */
  async take(count: number): Promise<T[]> {
    await this.#until(() => this.#items.length >= count, `${count} items`)
    return this.#items.splice(0, count)
  }

  /** The first that fits; what came before it is thrown away. */
  async find(fits: (item: T) => boolean): Promise<T> {
    for (;;) {
      const item = await this.next()
      if (fits(item)) return item
    }
  }

  async #until(isThere: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS
    while (!isThere()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`${what} did not come; there are ${this.#items.length}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
