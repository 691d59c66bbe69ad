import { castTextKey, type PhpKey } from './php-values.ts'

/** Integers up to here are what a plain object sorts to its front. */
const MAX_INDEX = 2 ** 32 - 2

/**
 * A PHP map for JavaScript, in PHP's order: a plain object, and a Map where a plain object would lose something: the order (it puts
 * indexes first, ascending), the key `__proto__`, or a key that is no text. A Map has integer keys as numbers or bigints.
 */
export function buildMap(keys: PhpKey[], values: unknown[]): Record<string, unknown> | Map<PhpKey, unknown> {
  if (!fitPlainObject(keys)) return new Map(keys.map((key, at) => [key, values[at]]))
  const map: Record<string, unknown> = {}
  for (let at = 0; at < keys.length; at += 1) map[String(keys[at])] = values[at]
  return map
}

function fitPlainObject(keys: PhpKey[]): boolean {
  let lowestIndex = 0
  for (const key of keys) {
    if (typeof key === 'object' || key === '__proto__') return false
    // The names of an object's properties come uncast.
    const cast = typeof key === 'string' ? castTextKey(key) : key
    if (typeof cast === 'number' && cast >= 0 && cast <= MAX_INDEX) {
      if (cast < lowestIndex) return false
      lowestIndex = cast + 1
    } else {
      lowestIndex = Number.POSITIVE_INFINITY
    }
  }
  return true
}
