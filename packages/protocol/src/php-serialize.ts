import { isPlainObject } from './codec.ts'
import { badValue, castTextKey, isInt64, MAX_PHP_DEPTH, narrowInt, type PhpKey, PhpLiteral } from './php-values.ts'

/** Up to here it is faster to look at the characters than to have Buffer do it. */
const MAX_SHORT_LENGTH = 24

/**
 * The value as PHP's serialize() writes it. Takes null, undefined (as null), booleans, numbers (whole ones below 2^53 as integers, the
 * rest as floats), bigints of 64 bits, strings, Uint8Arrays (as strings), Dates (as ISO strings), arrays, plain objects and Maps.
 * Throws BAD_VALUE on anything else, and on what is deeper than MAX_PHP_DEPTH or holds itself.
 */
export function serialize(value: unknown): Buffer {
  // One character a byte: strings are cheap to join, and turned into a Buffer once.
  return Buffer.from(write(value, 0), 'latin1')
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return `${writeText(value)};`
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? `i:${value};` : `d:${formatFloat(value)};`
    case 'boolean':
      return value ? 'b:1;' : 'b:0;'
    case 'bigint':
      if (!isInt64(value)) throw badValue(`${value} is beyond the 64 bits of a PHP integer`)
      return `i:${value};`
    case 'undefined':
      return 'N;'
    case 'object':
      return value === null ? 'N;' : writeObject(value, depth)
    default:
      throw badValue(`PHP has no form for a ${typeof value}`)
  }
}

function writeObject(value: object, depth: number): string {
  if (value instanceof Uint8Array) return `${writeBytes(value)};`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'N;' : `${writeText(value.toISOString())};`
  if (value instanceof PhpLiteral) return value.bytes.toString('latin1')
  if (depth === MAX_PHP_DEPTH) throw badValue(`a value is nested deeper than ${MAX_PHP_DEPTH} levels, or holds itself`)
  if (Array.isArray(value)) return writeList(value, depth + 1)
  if (value instanceof Map) return writeMap(value, depth + 1)
  if (isPlainObject(value)) return writePlainObject(value, depth + 1)
  throw badValue(`PHP has no form for an instance of ${value.constructor?.name ?? 'a class'}`)
}

function writeList(list: unknown[], depth: number): string {
  let body = ''
  for (let at = 0; at < list.length; at += 1) body += `i:${at};${write(list[at], depth)}`
  return `a:${list.length}:{${body}}`
}

function writePlainObject(object: Record<string, unknown>, depth: number): string {
  const names = Object.keys(object)
  let body = ''
  for (const name of names) body += writeKey(castTextKey(name)) + write(object[name], depth)
  return `a:${names.length}:{${body}}`
}

function writeMap(map: Map<unknown, unknown>, depth: number): string {
  // Keys that differ here may be one in PHP: there the first place and the last value remain.
  const cast = new Map<PhpKey, unknown>()
  for (const [key, value] of map) cast.set(castKey(key), value)
  let body = ''
  for (const [key, value] of cast) body += writeKey(key) + write(value, depth)
  return `a:${cast.size}:{${body}}`
}

/** What PHP makes of an array key of any type. */
function castKey(key: unknown): PhpKey {
  if (typeof key === 'string') return castTextKey(key)
  if (Number.isSafeInteger(key)) return (key as number) + 0
  if (typeof key === 'number' && Number.isFinite(key)) return castKey(BigInt(Math.trunc(key)))
  if (typeof key === 'bigint' && isInt64(key)) return narrowInt(key)
  if (typeof key === 'boolean') return key ? 1 : 0
  if (key === null || key === undefined) return ''
  if (key instanceof Uint8Array) {
    const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
    const text = bytes.toString()
    return Buffer.from(text).equals(bytes) ? castTextKey(text) : bytes
  }
  throw badValue(`PHP has no array key like ${typeof key === 'object' ? 'an object' : String(key)}`)
}

function writeKey(key: PhpKey): string {
  if (typeof key === 'string') return `${writeText(key)};`
  return typeof key === 'object' ? `${writeBytes(key)};` : `i:${key};`
}

function writeText(text: string): string {
  if (isShortAscii(text)) return `s:${text.length}:"${text}"`
  const bytes = Buffer.from(text)
  return `s:${bytes.length}:"${bytes.length === text.length ? text : bytes.toString('latin1')}"`
}

function isShortAscii(text: string): boolean {
  if (text.length > MAX_SHORT_LENGTH) return false
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

function writeBytes(bytes: Uint8Array): string {
  return `s:${bytes.length}:"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')}"`
}

/** PHP's shortest form of a number: the same digits as JavaScript's, with the exponent from 1.0E-5 down and 1.0E+17 up. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'NAN'
  const size = Math.abs(value)
  if (size === Number.POSITIVE_INFINITY) return value > 0 ? 'INF' : '-INF'
  if (size === 0) return Object.is(value, -0) ? '-0' : '0'
  if (size >= 1e-4 && size < 1e17) return String(value)
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  return `${digits.includes('.') ? digits : `${digits}.0`}E${exponent}`
}
