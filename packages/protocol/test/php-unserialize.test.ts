import { describe, expect, it } from 'vitest'
import { phpLossless, phpSerialize } from '../src/php-codec.ts'
import { PhpLiteral } from '../src/php-values.ts'

/** What is read from text of one character a byte. */
const read = (text: string) => phpSerialize.decode(Buffer.from(text, 'latin1'))
const readLossless = (text: string) => phpLossless.decode(Buffer.from(text, 'latin1'))
const literal = (text: string) => new PhpLiteral(Buffer.from(text, 'latin1'))

const badValue = (reason = /./) =>
  expect.objectContaining({ name: 'GatewayWorkerError', code: 'BAD_VALUE', message: expect.stringMatching(reason) })

const ACCOUNT = 'O:7:"Account":3:{s:4:"name";s:1:"a";s:10:"\0*\0balance";d:1;s:12:"\0Account\0pin";i:7;}'

/** `levels` arrays in each other. */
const nest = (levels: number) => `${'a:1:{i:0;'.repeat(levels - 1)}a:0:{}${'}'.repeat(levels - 1)}`

describe('unserialize', () => {
  it.each<[string, string, unknown]>([
    ['null', 'N;', null],
    ['true', 'b:1;', true],
    ['false', 'b:0;', false],
    ['an integer', 'i:-7;', -7],
    ['minus zero, which PHP has only as a float', 'i:-0;', 0],
    ['the largest exact integer', 'i:9007199254740991;', 2 ** 53 - 1],
    ['one more, as a bigint', 'i:9007199254740992;', 2n ** 53n],
    ['the smallest integer', 'i:-9223372036854775808;', -(2n ** 63n)],
    ['a float', 'd:0.1;', 0.1],
    ['a float as older PHPs wrote it', 'd:0.10000000000000001;', 0.1],
    ['a whole float', 'd:1;', 1],
    ['a float with exponent', 'd:1.0E+25;', 1e25],
    ['minus zero', 'd:-0;', -0],
    ['infinity', 'd:INF;', Infinity],
    ['minus infinity', 'd:-INF;', -Infinity],
    ['not a number', 'd:NAN;', Number.NaN],
    ['text', 's:5:"\xc3\xa9\xe6\xbc\xa2";', 'é漢'],
    ['text with the character that stands for broken text', 's:3:"\xef\xbf\xbd";', '\ufffd'],
    ['text that begins with a byte order mark', 's:4:"\xef\xbb\xbfa";', '\ufeffa'],
    ['bytes that are no text', 's:2:"a\xff";', Buffer.from([97, 255])],
    ['quotes and braces', 's:3:"";}";', '";}'],
    ['a list', 'a:2:{i:0;s:1:"a";i:1;N;}', ['a', null]],
    ['an empty array', 'a:0:{}', []],
    ['a map', 'a:2:{s:1:"b";i:1;s:1:"a";i:2;}', { b: 1, a: 2 }],
    ['integer keys that ascend', 'a:3:{i:1;i:0;i:9;i:0;s:1:"x";i:0;}', { 1: 0, 9: 0, x: 0 }],
    [
      'integer keys that a plain object would sort',
      'a:2:{i:1;i:0;i:0;i:0;}',
      new Map([
        [1, 0],
        [0, 0],
      ]),
    ],
    [
      'an integer key behind a text',
      'a:2:{s:1:"x";i:0;i:0;i:0;}',
      new Map<unknown, number>([
        ['x', 0],
        [0, 0],
      ]),
    ],
    [
      'integer keys that it would not sort',
      'a:3:{s:1:"x";i:0;i:-1;i:0;i:4294967295;i:0;}',
      { x: 0, '-1': 0, 4294967295: 0 },
    ],
    ['a bigint key', 'a:2:{i:9;i:0;i:9007199254740993;i:0;}', { 9: 0, '9007199254740993': 0 }],
    ['text keys that are integers to PHP', 'a:2:{s:1:"0";i:0;s:1:"1";i:0;}', [0, 0]],
    ['a key twice: the last value', 'a:2:{s:1:"a";i:1;s:1:"a";i:2;}', { a: 2 }],
    ['names of Object.prototype', 'a:2:{s:11:"constructor";i:1;s:8:"toString";i:2;}', { constructor: 1, toString: 2 }],
    [
      '__proto__, in a Map',
      'a:2:{s:9:"__proto__";a:1:{s:1:"a";i:1;}s:1:"x";i:0;}',
      new Map<unknown, unknown>([
        ['__proto__', { a: 1 }],
        ['x', 0],
      ]),
    ],
    ['a key that is no text', 'a:1:{s:1:"\xff";i:1;}', new Map([[Buffer.from([255]), 1]])],
    ['an object: its properties', ACCOUNT, { name: 'a', balance: 1, pin: 7 }],
    ['an object without properties', 'O:8:"stdClass":0:{}', {}],
    ['an object with the keys of a list', 'O:11:"ArrayObject":1:{i:0;i:5;}', { 0: 5 }],
    [
      'private properties of the same name',
      'O:1:"B":2:{s:4:"\0A\0p";i:1;s:4:"\0B\0p";i:2;}',
      { '\0A\0p': 1, '\0B\0p': 2 },
    ],
    ['a private property and a public one', 'O:1:"B":2:{s:4:"\0A\0p";i:1;s:1:"p";i:2;}', { '\0A\0p': 1, p: 2 }],
    ['an object with its own format: the bytes', 'C:3:"Foo":4:{x;"}}', 'x;"}'],
    ['an enum: its name', 'E:11:"Suit:Hearts";', 'Suit:Hearts'],
    ['the same object again', 'a:3:{i:0;O:1:"A":1:{s:1:"x";i:1;}i:1;r:2;i:2;r:4;}', [{ x: 1 }, { x: 1 }, { x: 1 }]],
    ['references', 'a:4:{i:0;i:5;i:1;R:2;i:2;i:7;i:3;R:3;}', [5, 5, 7, 7]],
    ['what looks like a reference in text', 'a:1:{i:0;s:5:";R:9;";}', [';R:9;']],
  ])('reads %s', (_, text, value) => {
    expect(read(text)).toStrictEqual(value)
  })

  it('has an object that is at two places once', () => {
    const [first, second] = read('a:2:{i:0;O:1:"A":1:{s:1:"x";i:1;}i:1;r:2;}') as unknown[]
    expect(first).toBe(second)
  })

  it('never changes a prototype', () => {
    for (const type of ['a:1', 'O:1:"A":1']) {
      const value = read(`a:1:{s:1:"m";${type}:{s:9:"__proto__";a:1:{s:8:"polluted";b:1;}}}`) as { m: unknown }
      expect(value.m).toBeInstanceOf(Map)
    }
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })

  it('keeps nothing of the memory that it read', () => {
    const bytes = Buffer.from('a:2:{i:0;s:2:"a\xff";i:1;d:1;}', 'latin1')
    const value = phpLossless.decode(bytes)
    bytes.fill(0)
    expect(value).toStrictEqual([Buffer.from([97, 255]), literal('d:1;')])
  })

  it.each<[string, string]>([
    ['nothing', ''],
    ['an unknown type', 'x:1;'],
    ['escaped strings, which serialize() never writes', 'S:1:"\\61";'],
    ['an integer without digits', 'i:;'],
    ['an integer with other characters', 'i:1x;'],
    ['an integer with a plus', 'i:+1;'],
    ['an integer of more than 64 bits', 'i:9223372036854775808;'],
    ['an integer of very many digits', `i:${'0'.repeat(100)}1;`],
    ['an integer without end', 'i:1'],
    ['two signs', 'i:--1;'],
    ['a float without digits', 'd:;'],
    ['a float without end', 'd:1.5'],
    ['a hexadecimal float', 'd:0x10;'],
    ['a float in spaces', 'd: 1;'],
    ['a word as a float', 'd:Infinity;'],
    ['a boolean of 2', 'b:2;'],
    ['null with a value', 'N:1;'],
    ['a string without length', 's::"a";'],
    ['a string with a negative length', 's:-1:"a";'],
    ['a string beyond the end', 's:4:"abc";'],
    ['a string of a huge length', 's:99999999999999999999999:"abc";'],
    ['a string shorter than it is', 's:1:"abc";'],
    ['a string without quotes', 's:1:a;'],
    ['a string without terminator', 's:1:"a"'],
    ['an array with a negative count', 'a:-1:{}'],
    ['an array of a huge count', 'a:1000000000:{}'],
    ['fewer elements than declared', 'a:2:{i:0;i:1;}'],
    ['more elements than declared', 'a:1:{i:0;i:1;i:1;i:2;}'],
    ['an array without end', 'a:1:{i:0;i:1;'],
    ['an array as a key', 'a:1:{a:0:{}i:1;}'],
    ['a float as a key', 'a:1:{d:1;i:1;}'],
    ['a key without value', 'a:1:{i:0;}       '],
    ['bytes after the value', 'N;N;'],
    ['an object without class', 'O:8:0:{}'],
    ['an object without properties where they are declared', 'O:1:"A":1:{}'],
    ['an own format beyond the end', 'C:1:"A":9:{x}'],
    ['a reference as the value', 'R:1;'],
    ['a reference to nothing', 'a:1:{i:0;R:9;}'],
    ['a reference to number 0', 'a:1:{i:0;R:0;}'],
    ['a negative reference', 'a:1:{i:0;R:-1;}'],
    ['a huge reference', 'a:1:{i:0;R:9007199254740993;}'],
    ['a value that holds itself', 'a:1:{i:0;R:1;}'],
    ['an object that holds itself', 'O:1:"A":1:{s:1:"a";r:1;}'],
    ['a reference to itself', 'a:1:{i:0;r:2;}'],
    ['a reference behind an own format, which may have numbered values', 'a:3:{i:0;i:7;i:1;C:1:"A":1:{x}i:2;R:2;}'],
    ['513 levels', nest(513)],
    ['half a million levels', nest(500_000)],
    ['very many opened levels', 'a:1:{i:0;'.repeat(500_000)],
    ['levels that references add', `a:2:{i:0;${nest(300)}i:1;${nest(300).replace('a:0:{}', 'a:1:{i:0;R:2;}')}}`],
  ])('refuses %s', (_, text) => {
    expect(() => read(text)).toThrow(badValue())
    expect(() => readLossless(text)).toThrow(badValue())
  })

  it('takes 512 levels', () => {
    expect(phpSerialize.encode(read(nest(512))).toString()).toBe(nest(512))
  })

  it('refuses references that repeat references until nothing could hold the value', () => {
    // Value 2 is a list of 10 nulls, and each list behind it has ten times the one before it: 10 to the power of 40 nulls.
    const lists = Array.from({ length: 40 }, (_, level) => {
      const element = level === 0 ? 'N;' : `R:${level === 1 ? 2 : 11 + level};`
      return `i:${level};a:10:{${Array.from({ length: 10 }, (_, at) => `i:${at};${element}`).join('')}}`
    })
    expect(() => read(`a:40:{${lists.join('')}}`)).toThrow(badValue(/repeat too much/))
  })
})

describe('unserialize, losslessly', () => {
  it.each<[string, string, unknown]>([
    ['floats', 'a:2:{i:0;d:1;i:1;d:0.10000000000000001;}', [literal('d:1;'), literal('d:0.10000000000000001;')]],
    ['objects', `a:1:{s:1:"a";${ACCOUNT}}`, { a: literal(ACCOUNT) }],
    ['enums', 'E:11:"Suit:Hearts";', literal('E:11:"Suit:Hearts";')],
    ['own formats', 'C:3:"Foo":1:{x}', literal('C:3:"Foo":1:{x}')],
    ['the same object again', 'a:2:{i:0;O:1:"A":0:{}i:1;r:2;}', [literal('O:1:"A":0:{}'), literal('O:1:"A":0:{}')]],
    ['references to plain values', 'a:2:{i:0;i:5;i:1;R:2;}', [5, 5]],
  ])('keeps %s', (_, text, value) => {
    expect(readLossless(text)).toStrictEqual(value)
  })

  it.each<[string, string]>([
    ['inside an object', 'a:2:{i:0;i:5;i:1;O:1:"A":1:{s:1:"x";R:2;}}'],
    ['into an object', 'a:2:{i:0;O:1:"A":1:{s:1:"x";i:5;}i:1;R:3;}'],
  ])('refuses references %s', (_, text) => {
    expect(() => readLossless(text)).toThrow(badValue(/reference/))
    expect(read(text)).toBeDefined()
  })

  it('refuses a broken object as any other broken value', () => {
    expect(() => readLossless('O:1:"A":1:{s:1:"x";i:;}')).toThrow(badValue())
  })
})
