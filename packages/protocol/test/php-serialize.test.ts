import { describe, expect, it } from 'vitest'
import { phpSerialize } from '../src/php-codec.ts'
import { PhpLiteral } from '../src/php-values.ts'

/** What is written, one character a byte. */
const written = (value: unknown) => phpSerialize.encode(value).toString('latin1')

const badValue = (reason: RegExp) =>
  expect.objectContaining({ name: 'GatewayWorkerError', code: 'BAD_VALUE', message: expect.stringMatching(reason) })

/** An array in an array, and so on: `levels` of them. */
function nest(levels: number): unknown[] {
  let nested: unknown[] = []
  for (let level = 1; level < levels; level += 1) nested = [nested]
  return nested
}

describe('serialize', () => {
  it.each<[string, unknown, string]>([
    ['null', null, 'N;'],
    ['undefined, as null', undefined, 'N;'],
    ['true', true, 'b:1;'],
    ['false', false, 'b:0;'],
    ['zero', 0, 'i:0;'],
    ['a negative integer', -7, 'i:-7;'],
    ['the largest exact integer', 2 ** 53 - 1, 'i:9007199254740991;'],
    ['a whole number beyond it, as a float', 2 ** 53, 'd:9007199254740992;'],
    ['a bigint', 9007199254740993n, 'i:9007199254740993;'],
    ['the largest bigint', 2n ** 63n - 1n, 'i:9223372036854775807;'],
    ['the smallest bigint', -(2n ** 63n), 'i:-9223372036854775808;'],
    ['a float', 0.1, 'd:0.1;'],
    ['a float of 17 digits', 0.1 + 0.2, 'd:0.30000000000000004;'],
    ['the largest float without exponent', 99999999999999984, 'd:99999999999999980;'],
    ['the smallest with one', 1e17, 'd:1.0E+17;'],
    ['a large float', -1.25e25, 'd:-1.25E+25;'],
    ['the smallest float without exponent', 0.0001, 'd:0.0001;'],
    ['a small one with it', 0.00001, 'd:1.0E-5;'],
    ['the smallest float', 5e-324, 'd:5.0E-324;'],
    ['the largest float', Number.MAX_VALUE, 'd:1.7976931348623157E+308;'],
    ['minus zero', -0, 'd:-0;'],
    ['infinity', Infinity, 'd:INF;'],
    ['minus infinity', -Infinity, 'd:-INF;'],
    ['not a number', Number.NaN, 'd:NAN;'],
    ['a string', 'abc', 's:3:"abc";'],
    ['an empty string', '', 's:0:"";'],
    ['a string of quotes and braces, unescaped', '";}', 's:3:"";}";'],
    ['text, by its bytes', 'é漢', 's:5:"\xc3\xa9\xe6\xbc\xa2";'],
    ['long text', 'é'.repeat(20), `s:40:"${'\xc3\xa9'.repeat(20)}";`],
    ['half of a surrogate pair, replaced', '\ud800', 's:3:"\xef\xbf\xbd";'],
    ['bytes', Buffer.from([0, 255, 10]), 's:3:"\0\xff\n";'],
    ['a part of other bytes', new Uint8Array([1, 2, 3]).subarray(1, 2), 's:1:"\x02";'],
    ['a Date', new Date(0), 's:24:"1970-01-01T00:00:00.000Z";'],
    ['a Date that is none', new Date(Number.NaN), 'N;'],
    ['a list', [1, 'a', null], 'a:3:{i:0;i:1;i:1;s:1:"a";i:2;N;}'],
    ['a list with a hole', new Array(1), 'a:1:{i:0;N;}'],
    ['an empty list', [], 'a:0:{}'],
    ['an empty object', {}, 'a:0:{}'],
    ['an object', { b: 1, a: undefined }, 'a:2:{s:1:"b";i:1;s:1:"a";N;}'],
    ['an object without prototype', Object.create(null), 'a:0:{}'],
    ['integer keys', { 5: 0, '05': 0, '-5': 0, '-0': 0 }, 'a:4:{i:5;i:0;s:2:"05";i:0;i:-5;i:0;s:2:"-0";i:0;}'],
    ['the largest integer key', { '9223372036854775807': 0 }, 'a:1:{i:9223372036854775807;i:0;}'],
    ['a key beyond it', { '9223372036854775808': 0 }, 'a:1:{s:19:"9223372036854775808";i:0;}'],
    [
      'a Map, in its order',
      new Map([
        [9, 'a'],
        ['x', 'b'],
        [1, 'c'],
      ] as [unknown, string][]),
      'a:3:{i:9;s:1:"a";s:1:"x";s:1:"b";i:1;s:1:"c";}',
    ],
    [
      'keys of other types',
      new Map<unknown, number>([
        [true, 0],
        [null, 0],
        [-2.9, 0],
        [2n ** 60n, 0],
        [-0, 0],
      ]),
      'a:5:{i:1;i:0;s:0:"";i:0;i:-2;i:0;i:1152921504606846976;i:0;i:0;i:0;}',
    ],
    [
      'keys of bytes',
      new Map<unknown, number>([
        [Buffer.from([255]), 0],
        [Buffer.from('7'), 0],
      ]),
      'a:2:{s:1:"\xff";i:0;i:7;i:0;}',
    ],
    [
      'keys that are one in PHP: the first place, the last value',
      new Map<unknown, number>([
        [1, 1],
        ['a', 2],
        ['1', 3],
        [true, 4],
      ]),
      'a:2:{i:1;i:4;s:1:"a";i:2;}',
    ],
    ['a literal, as it is', [new PhpLiteral(Buffer.from('d:1;'))], 'a:1:{i:0;d:1;}'],
  ])('writes %s', (_, value, bytes) => {
    expect(written(value)).toBe(bytes)
  })

  it.each<[string, unknown, RegExp]>([
    ['a function', () => 0, /a function/],
    ['a symbol', Symbol('x'), /a symbol/],
    ['an instance of a class', new (class Account {})(), /an instance of Account/],
    ['a Set', new Set(), /an instance of Set/],
    ['a bigint of more than 64 bits', 2n ** 63n, /64 bits/],
    ['an object as a key', new Map([[{}, 0]]), /key/],
    ['a key that is no number', new Map([[Number.NaN, 0]]), /key/],
    ['a key of more than 64 bits', new Map([[2n ** 63n, 0]]), /key/],
    ['a float key of more than 64 bits', new Map([[1e30, 0]]), /key/],
    ['a symbol as a key', new Map([[Symbol('x'), 0]]), /key/],
    ['something deep inside', { a: [new Map([['b', Symbol('x')]])] }, /a symbol/],
    ['513 levels', nest(513), /deeper than 512/],
  ])('refuses %s', (_, value, reason) => {
    expect(() => written(value)).toThrow(badValue(reason))
  })

  it('refuses what holds itself', () => {
    const list: unknown[] = [1]
    list.push(list)
    const object: Record<string, unknown> = {}
    object.map = new Map([['object', object]])
    expect(() => written(list)).toThrow(badValue(/holds itself/))
    expect(() => written(object)).toThrow(badValue(/holds itself/))
  })

  it('takes 512 levels, and what is in two places', () => {
    expect(phpSerialize.decode(phpSerialize.encode(nest(512)))).toEqual(nest(512))
    const shared = ['x']
    expect(written([shared, shared])).toBe('a:2:{i:0;a:1:{i:0;s:1:"x";}i:1;a:1:{i:0;s:1:"x";}}')
  })
})
