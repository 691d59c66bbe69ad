import { isUtf8 } from 'node:buffer'
import { badValue, isInt64, narrowInt } from './php-values.ts'

/** Digits that a number holds exactly, and those of the largest 64-bit integer. */
const SAFE_DIGITS = 15
const MAX_DIGITS = 19
/** Pieces up to here are copies; longer ones would keep the whole text in memory. */
const MAX_SHORT_BYTES = 12
const FLOAT = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?$/

const code = (character: string) => character.charCodeAt(0)
const MINUS = code('-')
const ZERO = code('0')
const COLON = code(':')
const SEMICOLON = code(';')
const QUOTE = code('"')

/**
 * Reads the words of PHP's serialize() format one after the other, each in the time that its bytes take. Throws BAD_VALUE where another
 * word is, and makes no room for a length before it saw that the bytes are there.
 */
export class PhpScanner {
  readonly bytes: Buffer
  /** The bytes again, one character each: a short piece is several times faster to take from here. */
  readonly #text: string
  /** Where the next word begins. */
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#text = this.bytes.toString('latin1')
  }

  expect(byte: number): void {
    if (this.bytes[this.at] !== byte) throw this.error(`expected "${String.fromCharCode(byte)}"`)
    this.at += 1
  }

  /** `0;` or `1;` */
  readBoolean(): boolean {
    const digit = this.bytes[this.at]! - ZERO
    if (digit !== 0 && digit !== 1) throw this.error('a boolean is 0 or 1')
    this.at += 1
    this.expect(SEMICOLON)
    return digit === 1
  }

  /** `-7;`: a bigint beyond 2^53. */
  readInteger(): number | bigint {
    const start = this.at
    const isNegative = this.bytes[start] === MINUS
    const firstDigit = isNegative ? start + 1 : start
    let at = firstDigit
    let value = 0
    for (;;) {
      const digit = this.bytes[at]! - ZERO
      if (!(digit >= 0 && digit <= 9)) break
      if (at - firstDigit === MAX_DIGITS) throw this.error('an integer has too many digits')
      value = value * 10 + digit
      at += 1
    }
    if (at === firstDigit) throw this.error('digits are missing')
    this.at = at
    this.expect(SEMICOLON)
    if (at - firstDigit <= SAFE_DIGITS) return isNegative ? 0 - value : value
    const exact = BigInt(this.#text.slice(start, at))
    if (!isInt64(exact)) throw this.error('an integer is beyond 64 bits')
    return narrowInt(exact)
  }

  /** `0.1;`, `1.0E+25;`, `-0;`, `INF;`, `NAN;` */
  readFloat(): number {
    const end = this.#text.indexOf(';', this.at)
    const value = end < 0 ? undefined : parseFloatText(this.#text.slice(this.at, end))
    if (value === undefined) throw this.error('no float is written so')
    this.at = end + 1
    return value
  }

  /** `5:`: a count of bytes or elements, never more than there are bytes at all. */
  readLength(): number {
    const start = this.at
    let at = start
    let length = 0
    for (;;) {
      const digit = this.bytes[at]! - ZERO
      if (!(digit >= 0 && digit <= 9)) break
      length = length * 10 + digit
      if (length > this.bytes.length) throw this.error('a length goes beyond the end')
      at += 1
    }
    if (at === start) throw this.error('digits are missing')
    this.at = at
    this.expect(COLON)
    return length
  }

  /** `3:"abc"` */
  readQuoted(): string | Buffer {
    const length = this.readLength()
    this.expect(QUOTE)
    return this.readText(length, QUOTE)
  }

  /** So many bytes, and the byte that ends them: a string if they are UTF-8, otherwise a Buffer. */
  readText(length: number, end: number): string | Buffer {
    const start = this.at
    this.at = start + length
    this.expect(end)
    if (length <= MAX_SHORT_BYTES && this.#isAscii(start, start + length))
      return this.#text.slice(start, start + length)
    const text = this.bytes.toString('utf8', start, start + length)
    // What cannot be decoded becomes this character; only where it occurs the bytes need a second look.
    if (!text.includes('\ufffd')) return text
    const bytes = this.bytes.subarray(start, start + length)
    // The copy lets go of the memory that the bytes are a part of.
    return isUtf8(bytes) ? text : Buffer.from(bytes)
  }

  #isAscii(start: number, end: number): boolean {
    for (let at = start; at < end; at += 1) if (this.bytes[at]! > 0x7f) return false
    return true
  }

  error(reason: string): Error {
    return badValue(`not a PHP value, at byte ${this.at}: ${reason}`)
  }
}

function parseFloatText(text: string): number | undefined {
  if (FLOAT.test(text)) return Number(text)
  if (text === 'NAN') return Number.NaN
  if (text === 'INF') return Number.POSITIVE_INFINITY
  return text === '-INF' ? Number.NEGATIVE_INFINITY : undefined
}
