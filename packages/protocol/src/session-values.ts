import { isDate, isUint8Array } from 'node:util/types'
import { GatewayWorkerError } from './errors.ts'
import { isInt64, MAX_PHP_DEPTH } from './php-values.ts'

type SessionMap = Record<string, unknown>

const ALLOWED = 'a session holds what JSON can hold, undefined, bigints, Dates, and bytes as Buffer or Uint8Array'
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/
const MAX_PATH_LENGTH = 200

/**
 * The session as it can be stored and read again unchanged, by PHP peers too: itself, or a copy where an array has been given keys (PHP's
 * empty array may become a list or a map, and comes as an array) or has holes. Throws BAD_SESSION, which names the value that fits nowhere.
 */
export function checkSession(session: SessionMap): SessionMap {
  const check = new SessionCheck()
  try {
    return check.checkMap(session)
  } catch (cause) {
    const { path } = check
    const reason = cause instanceof Misfit ? `${path} ${cause.message}` : `${path} cannot be read: ${String(cause)}`
    throw new GatewayWorkerError('BAD_SESSION', reason, { cause: cause instanceof Misfit ? undefined : cause })
  }
}

/** Whether a value is a plain object; of another realm, such as Jest's, too. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What is wrong with the value at the path where the check stands. */
class Misfit extends Error {}

/** One walk through a session. It copies what has to change, and nothing else. */
class SessionCheck {
  /** The keys that lead to where the walk stands; it stays there when something is thrown. */
  readonly #trail: (string | number)[] = []

  get path(): string {
    const steps = this.#trail.map((key) => {
      if (typeof key === 'number') return `[${key}]`
      return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
    })
    const path = `session${steps.join('')}`
    return path.length <= MAX_PATH_LENGTH ? path : `${path.slice(0, MAX_PATH_LENGTH)}…`
  }

  checkMap(map: SessionMap): SessionMap {
    if (typeof map !== 'object' || map === null || Array.isArray(map) || !isPlain(map)) {
      throw new Misfit(`is ${describe(map)}; it has to be a plain object`)
    }
    return this.#checkMembers(map)
  }

  #check(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        if (!value.isWellFormed()) throw new Misfit('holds half of a surrogate pair, which has no UTF-8')
        return value
      case 'bigint':
        if (!isInt64(value)) throw new Misfit('is a bigint that does not fit into 64 bits')
        return value
      case 'object':
        return value === null ? null : this.#checkObject(value)
      case 'function':
      case 'symbol':
        throw new Misfit(`is a ${typeof value}; ${ALLOWED}`)
      default:
        return value
    }
  }

  #checkObject(value: object): unknown {
    if (Array.isArray(value)) return this.#checkArray(value)
    if (isPlain(value)) return this.#checkMembers(value as SessionMap)
    // Those of another realm are none that the encoder knows.
    if (isUint8Array(value)) return value instanceof Uint8Array ? value : Buffer.from(value)
    if (isDate(value)) return value instanceof Date ? value : new Date(Number(value))
    throw new Misfit(`is ${describe(value)}; ${ALLOWED}`)
  }

  #checkMembers(map: SessionMap): SessionMap {
    this.#checkDepth()
    let copy: SessionMap | undefined
    for (const key of Object.keys(map)) {
      this.#trail.push(key)
      if (key === '__proto__') throw new Misfit('is a key that names a prototype, which readers leave out')
      if (!key.isWellFormed()) throw new Misfit('is a key with half of a surrogate pair, which has no UTF-8')
      const item = map[key]
      const checked = this.#check(item)
      if (typeof item === 'object' && checked !== item) {
        copy ??= { ...map }
        copy[key] = checked
      }
      this.#trail.pop()
    }
    return copy ?? map
  }

  #checkArray(list: unknown[]): unknown {
    if (Object.getPrototypeOf(list) !== Array.prototype && list.constructor?.name !== 'Array') {
      throw new Misfit(`is ${describe(list)}; ${ALLOWED}`)
    }
    const latest = Object.keys(list).at(-1) ?? '0' // names come after indexes
    if (String(Number(latest) >>> 0) !== latest) return this.#checkMembers({ ...list } as unknown as SessionMap)
    this.#checkDepth()
    let copy: unknown[] | undefined
    for (let at = 0; at < list.length; at += 1) {
      this.#trail.push(at)
      const item = list[at]
      const checked = this.#check(item)
      if (item === undefined ? !(at in list) : typeof item === 'object' && checked !== item) {
        copy ??= Array.from(list) // without holes
        copy[at] = checked
      }
      this.#trail.pop()
    }
    return copy ?? list
  }

  #checkDepth(): void {
    if (this.#trail.length >= MAX_PHP_DEPTH)
      throw new Misfit(`is nested deeper than ${MAX_PHP_DEPTH} levels, or holds itself`)
  }
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a value of type ${value === null ? 'null' : typeof value}`
  const name = value.constructor?.name || 'class without a name'
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}
