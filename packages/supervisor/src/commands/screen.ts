/** As wide as the table of `status` is meant to be, where there is no terminal to ask. */
const DEFAULT_COLUMNS = 120

/** Where a command shows its text: on a terminal one that is shown again takes the place of the one before. */
export class Screen {
  readonly #isRefreshed: boolean
  readonly #output = process.stdout

  /** `isLive`: text will be shown again and again, until Ctrl-C. */
  constructor(isLive: boolean) {
    this.#isRefreshed = isLive && this.#output.isTTY
    if (!isLive) return
    if (this.#isRefreshed) this.#output.write('\x1b[?25l\x1b[2J')
    process.once('exit', () => this.#restore())
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
    // `status -d | head` ends with the reader.
    this.#output.once('error', () => process.exit(0))
  }

  get columns(): number {
    return this.#output.columns ?? DEFAULT_COLUMNS
  }

  show(text: string): void {
    if (!this.#isRefreshed) {
      this.#output.write(`${text}\n`)
      return
    }
    // What is below the last line of a terminal would make it scroll.
    const lines = text.split('\n').slice(0, this.#output.rows - 1)
    this.#output.write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`)
  }

  #restore(): void {
    if (this.#isRefreshed) this.#output.write('\x1b[?25h')
  }
}
