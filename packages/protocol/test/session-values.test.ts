import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { phpSerialize } from '../src/php-codec.ts'
import { checkSession } from '../src/session-values.ts'
import { encodeSession, translateSession } from '../src/sessions.ts'

const roundTrip = (value: unknown): unknown => {
  const { value: read } = msgpack.decode(Buffer.from(encodeSession({ value }))) as { value: unknown }
  return read
}
const nested = (levels: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value }
  return value
}
const cycle: Record<string, unknown> = {}
cycle.list = [{ cycle }]
const bytes = Uint8Array.of(9, 1, 2, 3, 9)

class Cart {
  items = 1
}
class Items extends Array {}

describe('arrives as it was', () => {
  test.each<[string, unknown]>([
    ['a number', 1.5],
    ['no number', Number.NaN],
    ['infinity', -Infinity],
    ['a long number', 2 ** 60],
    ['a short bigint', 5n],
    ['the longest bigints', [2n ** 63n - 1n, -(2n ** 63n)]],
    ['a long text', '张😀'.repeat(10_000)],
    ['a text with NUL', 'a\0b'],
    ['undefined', { list: [undefined, 1], map: { a: undefined } }],
    ['a date', new Date(-1)],
    ['the last date', new Date(8.64e15)],
    ['no date', new Date(Number.NaN)],
    ['bytes', Buffer.from(bytes)],
    ['no bytes', Buffer.alloc(0)],
    ['numeric keys', { 5: 'a', '05': 'b', '-1': 'c', a: 'd' }],
    ['names of Object.prototype', { constructor: 1, toString: { valueOf: 2 }, hasOwnProperty: null, length: 3 }],
    ['a toJSON that is data', { toJSON: 5 }],
    ['511 levels', nested(511)],
  ])('%s', (_what, value) => {
    expect(roundTrip(value)).toEqual(value)
  })

  test.each<[string, unknown, unknown]>([
    ['bytes in a Uint8Array, as a Buffer', bytes.subarray(1, 4), Buffer.from([1, 2, 3])],
    ['an object without a prototype, as a plain one', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    // biome-ignore lint/suspicious/noSparseArray: it is what is tested
    ['a hole, as undefined', [1, , 3], [1, undefined, 3]],
    ['an array with names, as a map', Object.assign([1], { a: [2] }), { 0: 1, a: [2] }],
    ['minus zero, as zero', -0, 0],
    [
      'plain data of another realm',
      runInNewContext('({ a: [new Date(5)], b: new Uint8Array([1]), c: [,1] })'),
      { a: [new Date(5)], b: Buffer.from([1]), c: [undefined, 1] },
    ],
  ])('%s', (_what, value, read) => {
    expect(roundTrip(value)).toEqual(read)
    expect(Object.keys(roundTrip([value]) as object)).toEqual(['0'])
  })

  test('whatever mixture of these', () => {
    const text = fc.string({ unit: 'grapheme' })
    const value = fc.letrec((value) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.double().map((number) => number + 0),
        fc.maxSafeInteger(),
        fc.constantFrom(null, undefined, true, false),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.date(),
        fc.uint8Array().map((array) => Buffer.from(array)),
        fc.array(value('any')),
        fc.dictionary(
          text.filter((key) => key !== '__proto__'), // which is refused
          value('any'),
        ),
      ),
    })).any
    fc.assert(
      fc.property(value, (value) => {
        const read = roundTrip(value)
        expect(read).toEqual(normal(value))
        // What is read can be written again: a handler may change another key.
        expect(roundTrip(read)).toEqual(read)
      }),
      { numRuns: 1000 },
    )
  })
})

/** Without what arrives as something that equals it: minus zero, and a map's missing prototype. */
function normal(value: unknown): unknown {
  if (value === 0) return 0
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value !== 'object' || value === null || value instanceof Date || Buffer.isBuffer(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normal(item)]))
}

describe('is refused with its path', () => {
  test.each<[string, unknown, RegExp]>([
    ...[Float32Array, Float64Array, Uint16Array, Int8Array, Int32Array, Uint8ClampedArray, BigInt64Array].map(
      (Type): [string, unknown, RegExp] => [
        Type.name,
        { items: [1, 2, 3, new Type(4)] },
        new RegExp(`^session\\.value\\.items\\[3\\] is an? ${Type.name}; `),
      ],
    ),
    ['DataView', new DataView(bytes.buffer), /^session\.value is a DataView; /],
    ['ArrayBuffer', [bytes.buffer], /^session\.value\[0\] is an ArrayBuffer; /],
    ['SharedArrayBuffer', new SharedArrayBuffer(3), /is a SharedArrayBuffer/],
    ['Map', { 'odd key': new Map() }, /^session\.value\["odd key"\] is a Map/],
    ['Set', new Set(), /is a Set/],
    ['Error', new TypeError('x'), /is a TypeError/],
    ['RegExp', /x/, /is a RegExp/],
    ['Promise', Promise.resolve(), /is a Promise/],
    ['WeakMap', new WeakMap(), /is a WeakMap/],
    ['Blob', new Blob(['x']), /is a Blob/],
    ['a URL, which has a toJSON', new URL('http://localhost'), /is a URL/],
    ['an instance', new Cart(), /is a Cart/],
    ['an instance of an array', Items.of(1), /is an Items/],
    ['a boxed text', new String('x'), /is a String/],
    ['a boxed number', new Number(5), /is a Number/],
    ['a symbol', Symbol('x'), /is a symbol/],
    ['a function', { toJSON: () => 5 }, /^session\.value\.toJSON is a function/],
    ['a bigint of more than 64 bits', 2n ** 63n, /is a bigint/],
    ['half of a surrogate pair', '😀'.slice(0, 1), /half of a surrogate pair/],
    ['half of one in a key', { '\udc00': 1 }, /^session\.value\["\\udc00"\] is a key/],
    ['a prototype in a key', JSON.parse('{"__proto__":{"a":1}}'), /^session\.value\.__proto__ is a key/],
    ['what holds itself', cycle, /^session\.value\.list\[0\]\.cycle\.list.*deeper than 512 levels, or holds itself$/],
    ['512 levels', nested(512), /deeper than 512 levels/],
    [
      'a getter that throws',
      {
        a: 1,
        get boom(): never {
          throw new Error('no')
        },
      },
      /^session\.value\.boom cannot be read: Error: no$/,
    ],
  ])('%s', (_what, value, message) => {
    expect(() => encodeSession({ before: [1, { a: 2 }], value })).toThrow(
      expect.objectContaining({ code: 'BAD_SESSION', message: expect.stringMatching(message) }),
    )
  })

  test.each([null, undefined, 5, [], new Map(), new Cart(), new Date()])('a session that is %s', (session) => {
    expect(() => encodeSession(session as never)).toThrow(
      expect.objectContaining({ code: 'BAD_SESSION', message: expect.stringMatching(/^session is an? /) }),
    )
  })
})

test('a session that needs no change is not copied, and none is changed', () => {
  const plain = { a: [1, { b: Buffer.from('x') }], c: new Date(5) }
  expect(checkSession(plain)).toBe(plain)
  // biome-ignore lint/suspicious/noSparseArray: it is what is tested
  const sparse = { a: [{ b: [1, , 2] }] }
  expect(checkSession(sparse)).not.toBe(sparse)
  expect(1 in sparse.a[0]!.b).toBe(false)
})

describe('what PHP reads', () => {
  const asPhp = (value: unknown) =>
    translateSession({ bytes: Buffer.from(encodeSession({ v: value })), codec: msgpack }, phpSerialize).toString(
      'latin1',
    )

  test.each<[string, unknown, string]>([
    ['null', null, 'N;'],
    ['undefined', undefined, 'N;'],
    ['a boolean', true, 'b:1;'],
    ['a whole number', 5, 'i:5;'],
    ['a long whole number', 2 ** 60, 'd:1.152921504606847E+18;'],
    ['a float', 0.5, 'd:0.5;'],
    ['no number', Number.NaN, 'd:NAN;'],
    ['infinity', Infinity, 'd:INF;'],
    ['minus zero', -0, 'i:0;'],
    ['a bigint', 2n ** 63n - 1n, 'i:9223372036854775807;'],
    ['a text', '张', 's:3:"\xe5\xbc\xa0";'],
    ['bytes', Uint8Array.of(255, 0), 's:2:"\xff\0";'],
    ['a date', new Date(0), 's:24:"1970-01-01T00:00:00.000Z";'],
    ['no date', new Date(Number.NaN), 'N;'],
    ['an array', [1, [undefined]], 'a:2:{i:0;i:1;i:1;a:1:{i:0;N;}}'],
    ['an object', { a: 1, 5: 2 }, 'a:2:{i:5;i:2;s:1:"a";i:1;}'],
    ['an empty object', {}, 'a:0:{}'],
  ])('%s', (_what, value, serialized) => {
    expect(asPhp(value)).toBe(`a:1:{s:1:"v";${serialized}}`)
  })

  test('everything that a session may hold, at the greatest depth', () => {
    expect(() => asPhp(nested(511))).not.toThrow()
  })
})
