/** What a function of the user's has returned that is of no use, in words for a log. */
export function describeValue(value: unknown): string {
  if (isPromise(value)) return 'a promise'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return `an object (${value.constructor?.name ?? 'no class'})`
  return typeof value === 'string' ? `the string ${JSON.stringify(value.slice(0, 20))}` : String(value)
}

/** Nobody waits for the promise, if it is one: that it may reject is no matter of the process. */
export function letGo(value: unknown): void {
  if (isPromise(value)) value.then(undefined, () => {})
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
