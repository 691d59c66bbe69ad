import { isPlainObject } from './codec.ts'
import { badValue, castTextKey, type PhpKey } from './php-values.ts'

type Entries = Map<string, [key: PhpKey, value: unknown]>

/** PHP's `array_replace_recursive`: arrays merge by key at every depth, whether they look like lists or maps; anything else replaces. */
export function mergePhpArrays(base: unknown, patch: unknown): Map<PhpKey, unknown> {
  return mergeEntries(entriesOfArray(base), entriesOfArray(patch))
}

/** The array with some keys set and others removed; what was there keeps its place. */
export function changePhpArray(
  array: unknown,
  set: Record<string, unknown>,
  unset: readonly string[],
): Map<PhpKey, unknown> {
  const entries = entriesOfArray(array)
  for (const name of unset) entries.delete(identify(castTextKey(name)))
  for (const name of Object.keys(set)) {
    const key = castTextKey(name)
    entries.set(identify(key), [key, set[name]])
  }
  return new Map(entries.values())
}

function mergeEntries(base: Entries, patch: Entries): Map<PhpKey, unknown> {
  for (const [id, [key, value]] of patch) {
    const older = entriesOf(base.get(id)?.[1])
    const newer = entriesOf(value)
    base.set(id, [key, older !== undefined && newer !== undefined ? mergeEntries(older, newer) : value])
  }
  return new Map(base.values())
}

function entriesOfArray(value: unknown): Entries {
  const entries = entriesOf(value)
  if (entries === undefined) throw badValue('a session is an array')
  return entries
}

/** The entries of a decoded PHP array in its order; undefined if it is something else. */
function entriesOf(value: unknown): Entries | undefined {
  let pairs: Iterable<[PhpKey, unknown]>
  if (Array.isArray(value)) pairs = value.entries()
  else if (value instanceof Map) pairs = value
  else if (isPlainObject(value)) pairs = Object.entries(value).map(([name, item]) => [castTextKey(name), item])
  else return undefined
  return new Map(Array.from(pairs, ([key, item]) => [identify(key), [key, item]]))
}

/** One text for each key: Buffers are the same key if they hold the same bytes. */
function identify(key: PhpKey): string {
  if (typeof key === 'string') return `s${Buffer.from(key).toString('latin1')}`
  return typeof key === 'object' ? `s${key.toString('latin1')}` : `i${key}`
}
