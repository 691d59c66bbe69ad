/** How long gateways have to announce themselves again once a register, or an engine in its place, is back from an absence. */
const HOLD_MS = 6_000

/**
 * What one source of addresses has said. While it is away it is taken at its last word, and it may come back knowing nobody yet: until the
 * gateways have had their time to be announced again, none is dropped.
 */
export class HeldList {
  #held: readonly string[] = []
  readonly #onChange: () => void
  #said: readonly string[] | undefined
  #timer: NodeJS.Timeout | undefined
  #wasAway = false

  /** `onChange` is called when there is a list, and when there is another. */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** The online gateways as far as is known, each once. */
  get addresses(): string[] {
    return [...new Set([...(this.#said ?? []), ...this.#held])]
  }

  /** Whether the source named the address when it spoke last. */
  names(address: string): boolean {
    return this.#said?.includes(address) ?? false
  }

  /** The source says who is online. */
  take(addresses: readonly string[]): void {
    this.#change(() => {
      if (this.#wasAway) {
        this.#held = this.addresses
        this.#timer = setTimeout(this.#drop, HOLD_MS).unref()
        this.#wasAway = false
      }
      this.#said = addresses
    })
  }

  /** The source cannot be heard any more. */
  leave(): void {
    this.#wasAway = true
    clearTimeout(this.#timer)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  readonly #drop = (): void => {
    this.#change(() => {
      this.#held = []
    })
  }

  #change(change: () => void): void {
    const before = this.#said === undefined ? undefined : this.addresses.toSorted().join()
    change()
    if (this.addresses.toSorted().join() !== before) this.#onChange()
  }
}
