/** Something that runs, and is told when it has run for too long. */
export interface Running {
  onEventTimeout(): void
  /** The tick in which it began; the watch's own. */
  startedTick: number
}

/** Into how many ticks the timeout is cut: how exactly it is kept. */
const TICKS = 20

/**
 * Finds handlers that have not settled within a timeout. Time is counted in ticks of the event loop, so that handlers are not blamed
 * for a block of the loop, or for a suspended process.
 *
 * Cost: one entry in a set for each handler that is async; each tick looks at the oldest only.
 */
export class EventTimeout {
  /** Those that run, in the order in which they began. */
  readonly #running = new Set<Running>()
  readonly #timeoutMs: number
  #tick = 0
  #timer: NodeJS.Timeout | undefined

  /** `timeoutMs`: 0 for never. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  get timeoutMs(): number {
    return this.#timeoutMs
  }

  start(): void {
    if (this.#timeoutMs > 0) this.#timer = setInterval(this.#onTick, this.#timeoutMs / TICKS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  begin(handler: Running): void {
    if (this.#timeoutMs === 0) return
    handler.startedTick = this.#tick
    this.#running.add(handler)
  }

  end(handler: Running): void {
    this.#running.delete(handler)
  }

  readonly #onTick = (): void => {
    this.#tick += 1
    for (const handler of this.#running) {
      if (this.#tick - handler.startedTick <= TICKS) return // so are all that follow
      this.#running.delete(handler)
      handler.onEventTimeout()
    }
  }
}
