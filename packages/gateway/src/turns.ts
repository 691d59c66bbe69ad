/** What may be read of one connection, and handled, in a turn of the event loop: frames or packets, and bytes. */
export const PIECES_A_TURN = 128
export const BYTES_A_TURN = 256 * 1024

/** Something that waits for the next turn. */
export interface Waiting {
  onTurn(): void
}

/** The turns of the event loop, as far as something is read in them. */
class Turns {
  #isOpen = false
  #number = 0
  #waiting: Waiting[] = []

  /** The number of this turn. */
  get number(): number {
    if (!this.#isOpen) {
      this.#isOpen = true
      setImmediate(this.#end)
    }
    return this.#number
  }

  /** To be called when the others have had their turn. */
  wait(waiting: Waiting): void {
    this.#waiting.push(waiting)
  }

  readonly #end = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    this.#isOpen = false
    this.#number += 1
    for (const one of waiting) one.onTurn()
  }
}

/** One for the process, as there is one event loop. */
export const turns = new Turns()
