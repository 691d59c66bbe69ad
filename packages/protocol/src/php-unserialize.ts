import { DEFAULT_MAX_FRAME_BYTES } from './frame.ts'
import { buildMap } from './php-map.ts'
import { PhpScanner } from './php-scanner.ts'
import { castTextKey, MAX_PHP_DEPTH, type PhpKey, PhpLiteral } from './php-values.ts'

/** References may repeat what they stand for up to this many bytes in all: a value that does not fit a frame helps nobody. */
const MAX_REPEATED_BYTES = DEFAULT_MAX_FRAME_BYTES
/** The shortest element of an array: `i:0;N;`. */
const MIN_ELEMENT_BYTES = 6

const code = (character: string) => character.charCodeAt(0)
const COLON = code(':')
const SEMICOLON = code(';')
const OPEN = code('{')
const CLOSE = code('}')

const Type = {
  ARRAY: code('a'),
  BOOLEAN: code('b'),
  CUSTOM: code('C'),
  ENUM: code('E'),
  FLOAT: code('d'),
  INTEGER: code('i'),
  NULL: code('N'),
  OBJECT: code('O'),
  REFERENCE: code('R'),
  SAME_OBJECT: code('r'),
  STRING: code('s'),
}

/** What a reference may stand for. */
interface Slot {
  /** Bytes that it is written with, those that its own references stand for included. */
  bytes: number
  /** Levels below it. */
  height: number
  /** Whether it is part of a literal. */
  isInLiteral: boolean
  /** Whether it is still being read: then a reference to it would put it into itself. */
  isOpen: boolean
  value: unknown
}

/**
 * The value of what PHP's serialize() wrote, as plain data and never as an instance; the package README says what becomes of what.
 * `lossless` leaves floats and objects as they are written, in PhpLiterals, and refuses references into or inside objects.
 * Throws BAD_VALUE, in linear time, on anything but exactly one value of at most MAX_PHP_DEPTH levels.
 */
export function unserialize(bytes: Uint8Array, { lossless = false } = {}): unknown {
  return new Reader(bytes, lossless).readAll()
}

class Reader {
  readonly #scanner: PhpScanner
  readonly #isLossless: boolean
  #isInLiteral = false
  /**
   * PHP numbers the values in the order in which they begin, but for keys and `R:`. Kept only where the bytes seem to have references,
   * which nearly none have.
   */
  readonly #slots: Slot[] | undefined
  #repeatedBytes = 0
  /** The deepest level since the innermost slot that is open began. */
  #deepest = 0
  /** A class that writes its own format may have numbered values in there. */
  #isNumberingLost = false

  constructor(bytes: Uint8Array, isLossless: boolean) {
    this.#scanner = new PhpScanner(bytes)
    this.#isLossless = isLossless
    if (this.#scanner.bytes.includes(';R:') || this.#scanner.bytes.includes(';r:')) this.#slots = []
  }

  readAll(): unknown {
    const value = this.#readValue(0)
    if (this.#scanner.at !== this.#scanner.bytes.length) throw this.#scanner.error('something follows the value')
    return value
  }

  /** A value at this level: so many arrays and objects are around it. */
  #readValue(level: number): unknown {
    const type = this.#scanner.bytes[this.#scanner.at]
    if (type === Type.REFERENCE || type === Type.SAME_OBJECT) return this.#readReference(level)
    return this.#slots === undefined ? this.#readOwnValue(level) : this.#readNumberedValue(this.#slots, level)
  }

  #readOwnValue(level: number): unknown {
    const scanner = this.#scanner
    const start = scanner.at
    const type = scanner.bytes[start]
    scanner.at += 1
    if (type === Type.NULL) {
      scanner.expect(SEMICOLON)
      return null
    }
    scanner.expect(COLON)
    switch (type) {
      case Type.STRING: {
        const text = scanner.readQuoted()
        scanner.expect(SEMICOLON)
        return text
      }
      case Type.INTEGER:
        return scanner.readInteger()
      case Type.ARRAY:
        return this.#readArray(level)
      case Type.BOOLEAN:
        return scanner.readBoolean()
      case Type.FLOAT:
      case Type.OBJECT:
      case Type.ENUM:
      case Type.CUSTOM:
        if (!this.#isLossless || this.#isInLiteral) return this.#readInexact(type, level)
        this.#isInLiteral = true
        this.#readInexact(type, level)
        this.#isInLiteral = false
        return new PhpLiteral(Buffer.from(scanner.bytes.subarray(start, scanner.at)))
    }
    scanner.at = start
    throw scanner.error('no type is named so')
  }

  #readArray(level: number): unknown {
    const count = this.#openElements(level)
    const keys: PhpKey[] = []
    const values: unknown[] = []
    let isList = true
    for (let at = 0; at < count; at += 1) {
      const name = this.#readKey()
      const key = typeof name === 'string' ? castTextKey(name) : name
      if (key !== at) isList = false
      keys.push(key)
      values.push(this.#readValue(level + 1))
    }
    this.#scanner.expect(CLOSE)
    return isList ? values : buildMap(keys, values)
  }

  /** What plain data has no exact equal of. */
  #readInexact(type: number, level: number): unknown {
    const scanner = this.#scanner
    if (type === Type.FLOAT) return scanner.readFloat()
    const name = scanner.readQuoted()
    if (type === Type.ENUM) {
      scanner.expect(SEMICOLON)
      return name
    }
    scanner.expect(COLON)
    if (type === Type.OBJECT) return this.#readProperties(level)
    this.#isNumberingLost = true
    const length = scanner.readLength()
    scanner.expect(OPEN)
    return scanner.readText(length, CLOSE)
  }

  #readProperties(level: number): unknown {
    const count = this.#openElements(level)
    const names: PhpKey[] = []
    const values: unknown[] = []
    for (let at = 0; at < count; at += 1) {
      names.push(this.#readKey())
      values.push(this.#readValue(level + 1))
    }
    this.#scanner.expect(CLOSE)
    return buildMap(unmangle(names), values)
  }

  #openElements(level: number): number {
    this.#reach(level + 1)
    const scanner = this.#scanner
    const count = scanner.readLength()
    scanner.expect(OPEN)
    if (count * MIN_ELEMENT_BYTES > scanner.bytes.length - scanner.at) throw scanner.error('elements are missing')
    return count
  }

  #readKey(): PhpKey {
    const scanner = this.#scanner
    const type = scanner.bytes[scanner.at]
    if (type !== Type.INTEGER && type !== Type.STRING) throw scanner.error('a key is an integer or a string')
    scanner.at += 1
    scanner.expect(COLON)
    if (type === Type.INTEGER) return scanner.readInteger()
    const key = scanner.readQuoted()
    scanner.expect(SEMICOLON)
    return key
  }

  #readNumberedValue(slots: Slot[], level: number): unknown {
    const slot: Slot = { bytes: 0, height: 0, isInLiteral: this.#isInLiteral, isOpen: true, value: undefined }
    slots.push(slot)
    const start = this.#scanner.at - this.#repeatedBytes
    const deepest = this.#deepest
    this.#deepest = level
    slot.value = this.#readOwnValue(level)
    slot.bytes = this.#scanner.at + this.#repeatedBytes - start
    slot.height = this.#deepest - level
    slot.isOpen = false
    this.#deepest = Math.max(this.#deepest, deepest)
    return slot.value
  }

  /** The value that the reference stands for, itself and not a copy: it is then in two places, as in PHP. */
  #readReference(level: number): unknown {
    const scanner = this.#scanner
    const isSameObject = scanner.bytes[scanner.at] === Type.SAME_OBJECT
    scanner.at += 1
    scanner.expect(COLON)
    const number = scanner.readInteger()
    const slot = this.#isNumberingLost ? undefined : this.#slots?.[Number(number) - 1]
    if (slot === undefined) throw scanner.error('a reference stands for nothing')
    if (slot.isOpen) throw scanner.error('a value holds itself')
    if (slot.isInLiteral || this.#isInLiteral)
      throw scanner.error('a reference into or inside an object cannot be kept')
    if (isSameObject) this.#slots?.push(slot)
    this.#repeatedBytes += slot.bytes
    if (this.#repeatedBytes > MAX_REPEATED_BYTES) throw scanner.error('references repeat too much')
    this.#reach(level + slot.height)
    return slot.value
  }

  #reach(level: number): void {
    if (level > MAX_PHP_DEPTH) throw this.#scanner.error(`values are nested deeper than ${MAX_PHP_DEPTH} levels`)
    this.#deepest = Math.max(this.#deepest, level)
  }
}

/** Names without the class (or `*`) that PHP puts before those of private and protected properties, unless two would then be one. */
function unmangle(names: PhpKey[]): PhpKey[] {
  if (!names.some(isMangled)) return names
  const bare = names.map((name) => (isMangled(name) ? name.slice(name.indexOf('\0', 1) + 1) : name))
  const counts = new Map<PhpKey, number>()
  for (const name of bare) counts.set(name, (counts.get(name) ?? 0) + 1)
  return bare.map((name, at) => (counts.get(name) === 1 ? name : names[at]!))
}

function isMangled(name: PhpKey): name is string {
  return typeof name === 'string' && name.startsWith('\0') && name.indexOf('\0', 1) > 0
}
