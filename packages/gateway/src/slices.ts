import { setImmediate as nextTurn } from 'node:timers/promises'

/** How many are handled before other events get their turn. */
const SLICE = 1_000

/** Makes a function that does something with each of many, in slices; a call while one is under way does nothing. */
export function inSlices<T>(items: () => Iterable<T>, handle: (item: T) => void): () => Promise<void> {
  let isUnderWay = false
  return async () => {
    if (isUnderWay) return
    isUnderWay = true
    let count = 0
    for (const item of [...items()]) {
      handle(item)
      count += 1
      if (count % SLICE === 0) await nextTurn()
    }
    isUnderWay = false
  }
}
