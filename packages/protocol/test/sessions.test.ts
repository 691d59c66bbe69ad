import { describe, expect, it } from 'vitest'
import { type Codec, msgpack } from '../src/codec.ts'
import { phpSerialize } from '../src/php-codec.ts'
import {
  decodeSession,
  type EncodedSession,
  encodeSession,
  MAX_SESSION_BYTES,
  mergeEncodedSessions,
  mergeSessions,
  patchEncodedSession,
  toPlainObject,
  translateSession,
} from '../src/sessions.ts'

/** A session as PHP wrote it, one character a byte. */
const php = (serialized: string): EncodedSession => ({ bytes: Buffer.from(serialized, 'latin1'), codec: phpSerialize })
const ours = (value: unknown): EncodedSession => ({ bytes: Buffer.from(msgpack.encode(value)), codec: msgpack })
const none = (codec: Codec): EncodedSession => ({ bytes: Buffer.alloc(0), codec })
/** What is stored: PHP's bytes, or the value of ours. */
const stored = ({ bytes, codec }: EncodedSession): unknown =>
  codec === phpSerialize ? bytes.toString('latin1') : msgpack.decode(bytes)

describe('encodeSession', () => {
  const list = (items: unknown[], named: object) => Object.assign(items, named)

  it.each([
    ["PHP's empty map that was given a key", { cart: list([], { apple: 1 }) }, { cart: { apple: 1 } }],
    ['a list that was given a key', { cart: list(['a', 'b'], { apple: 1 }) }, { cart: { 0: 'a', 1: 'b', apple: 1 } }],
    ['at any depth', { a: [{ b: list([], { c: list([], { d: 1 }) }) }] }, { a: [{ b: { c: { d: 1 } } }] }],
    ['a list stays one', { a: [1, [2, []], { b: [] }] }, { a: [1, [2, []], { b: [] }] }],
  ])('%s', (_name, session, expected) => {
    expect(msgpack.decode(encodeSession(session))).toEqual(expected)
  })

  it.each([
    ['too long', { a: 'x'.repeat(MAX_SESSION_BYTES) }],
    ['no plain object', [] as never],
    ['an int that is too long', { a: 2n ** 64n }],
  ])('refuses %s', (_name, session) => {
    expect(() => encodeSession(session)).toThrow(expect.objectContaining({ code: 'BAD_SESSION' }))
  })
})

describe('mergeSessions', () => {
  it.each([
    ['keys are added', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['values replace', { a: 1, b: 'x' }, { a: 'y' }, { a: 'y', b: 'x' }],
    ['null replaces', { a: { b: 1 } }, { a: null }, { a: null }],
    [
      'maps merge at every depth',
      { a: { b: { c: 1, d: 2 } } },
      { a: { b: { d: 3, e: 4 } } },
      { a: { b: { c: 1, d: 3, e: 4 } } },
    ],
    ['lists merge by index', { l: [1, 2, 3] }, { l: [9] }, { l: [9, 2, 3] }],
    ['lists grow', { l: [1] }, { l: [7, 8] }, { l: [7, 8] }],
    ['maps in lists merge', { l: [{ a: 1 }, { b: 2 }] }, { l: [{ c: 3 }] }, { l: [{ a: 1, c: 3 }, { b: 2 }] }],
    ['a list replaces a map', { a: { x: 1 } }, { a: [1] }, { a: [1] }],
    ['a map replaces a list', { a: [1] }, { a: { x: 1 } }, { a: { x: 1 } }],
    ['an empty map changes nothing', { a: { x: 1 } }, { a: {} }, { a: { x: 1 } }],
    ['bytes replace bytes', { a: Buffer.from('old') }, { a: Buffer.from('new!') }, { a: Buffer.from('new!') }],
  ])('%s', (_name, base, patch, merged) => {
    expect(mergeSessions(base, patch)).toEqual(merged)
  })

  it('keeps the order of the keys that were there, new ones last', () => {
    expect(Object.keys(mergeSessions({ z: 1, a: 1 }, { a: 2, b: 2, z: 2 }))).toEqual(['z', 'a', 'b'])
  })

  it('changes neither of the two', () => {
    const base = { a: { b: [1, { c: 1 }] } }
    const patch = { a: { b: [2, { d: 2 }] } }
    mergeSessions(base, patch)
    expect(base).toEqual({ a: { b: [1, { c: 1 }] } })
    expect(patch).toEqual({ a: { b: [2, { d: 2 }] } })
  })

  it('leaves every prototype alone', () => {
    mergeSessions({}, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'))
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
    expect(mergeSessions({}, { toString: { a: 1 } })).toEqual({ toString: { a: 1 } })
  })
})

describe('translateSession', () => {
  it.each([
    [
      'texts, numbers, lists',
      'a:3:{s:1:"a";s:2:"\xc3\xa9";s:1:"f";d:0.5;s:1:"l";a:2:{i:0;N;i:1;b:1;}}',
      { a: 'é', f: 0.5, l: [null, true] },
    ],
    ['a list', 'a:2:{i:0;s:1:"x";i:1;s:1:"y";}', { 0: 'x', 1: 'y' }],
    ['keys in another order, at every depth', 'a:2:{i:7;a:2:{i:9;i:1;i:2;i:3;}i:3;i:2;}', { 3: 2, 7: { 2: 3, 9: 1 } }],
    [
      'keys that are no text, at every depth',
      'a:2:{s:1:"\xff";i:1;s:1:"l";a:1:{i:0;a:1:{s:1:"\xfe";i:2;}}}',
      { '\ufffd': 1, l: [{ '\ufffd': 2 }] },
    ],
    ['bytes', 'a:1:{s:1:"b";s:1:"\xff";}', { b: Buffer.from([255]) }],
    ['an object', 'a:1:{s:1:"o";O:1:"A":1:{s:4:"\0*\0x";i:1;}}', { o: { x: 1 } }],
    ['an object as the session', 'O:8:"stdClass":1:{s:1:"a";i:1;}', { a: 1 }],
  ])('reads what PHP wrote: %s', (_what, serialized, value) => {
    expect(msgpack.decode(translateSession(php(serialized), msgpack))).toEqual(value)
  })

  it.each<[unknown, string]>([
    [
      { a: 'é', 5: 1.5, b: Buffer.from([255]), l: [], m: {} },
      'a:5:{i:5;d:1.5;s:1:"a";s:2:"\xc3\xa9";s:1:"b";s:1:"\xff";s:1:"l";a:0:{}s:1:"m";a:0:{}}',
    ],
    [{ '05': 2 ** 53 }, 'a:1:{s:2:"05";d:9007199254740992;}'],
  ])('writes for PHP what we wrote: %j', (value, serialized) => {
    expect(translateSession(ours(value), phpSerialize).toString('latin1')).toBe(serialized)
  })

  it('leaves bytes of the same codec alone, and has none for none', () => {
    const odd = php('no session at all')
    expect(translateSession(odd, phpSerialize)).toBe(odd.bytes)
    expect(translateSession(none(phpSerialize), msgpack).length).toBe(0)
    expect(translateSession(none(msgpack), phpSerialize).length).toBe(0)
    expect(translateSession(php('a:0:{}'), msgpack).length).toBe(0)
    expect(translateSession(ours({}), phpSerialize).length).toBe(0)
  })

  it.each([
    ['i:5;', 'BAD_SESSION'],
    ['N;', 'BAD_SESSION'],
    ['a:1:{', 'BAD_VALUE'],
    ['a:0:{}x', 'BAD_VALUE'],
  ])('refuses %s', (serialized, code) => {
    expect(() => translateSession(php(serialized), msgpack)).toThrow(expect.objectContaining({ code }))
    expect(() => decodeSession(php(serialized))).toThrow(expect.objectContaining({ code }))
  })

  it('takes no prototype from PHP', () => {
    const session = decodeSession(php('a:1:{s:9:"__proto__";a:1:{s:8:"polluted";i:1;}}'))
    expect(Object.getPrototypeOf(session)).toBe(Object.prototype)
    expect('polluted' in session).toBe(false)
  })
})

describe('toPlainObject', () => {
  it('has none for what is no array', () => {
    for (const value of [null, undefined, 5, 'text', Buffer.from('x'), new Date()])
      expect(toPlainObject(value)).toBe(undefined)
  })
})

describe('mergeEncodedSessions', () => {
  const FLOAT = 'a:2:{s:1:"f";d:1;s:1:"l";a:1:{i:0;i:1;}}'

  it.each<[string, EncodedSession, EncodedSession, unknown]>([
    [
      'ours into ours',
      ours({ l: [1, 2], m: { a: 1 } }),
      ours({ l: [3], m: { b: 2 } }),
      { l: [3, 2], m: { a: 1, b: 2 } },
    ],
    ['ours into none', none(msgpack), ours({ a: 1 }), { a: 1 }],
    [
      'PHP’s into PHP’s',
      php(FLOAT),
      php('a:1:{s:1:"l";a:1:{i:1;d:2;}}'),
      'a:2:{s:1:"f";d:1;s:1:"l";a:2:{i:0;i:1;i:1;d:2;}}',
    ],
    [
      'ours into PHP’s',
      php(FLOAT),
      ours({ l: ['x'], n: 1 }),
      'a:3:{s:1:"f";d:1;s:1:"l";a:1:{i:0;s:1:"x";}s:1:"n";i:1;}',
    ],
    ['PHP’s into ours', ours({ l: [1], n: 1.5 }), php(FLOAT), 'a:3:{s:1:"l";a:1:{i:0;i:1;}s:1:"n";d:1.5;s:1:"f";d:1;}'],
    ['PHP’s into none', none(phpSerialize), php(FLOAT), FLOAT],
    ['PHP’s into none of ours', none(msgpack), php(FLOAT), FLOAT],
    ['none into PHP’s', php(FLOAT), none(msgpack), FLOAT],
  ])('%s', (_what, base, patch, merged) => {
    expect(stored(mergeEncodedSessions(base, patch))).toEqual(merged)
  })

  it.each([
    ['PHP’s that is no array', php('i:5;'), php('a:0:{}')],
    ['a patch that is no array', php('a:0:{}'), php('i:5;')],
    ['a patch of ours that is no map', php('a:0:{}'), ours([1])],
    ['ours that is no map', ours(5), php('a:0:{}')],
  ])('refuses %s', (_what, base, patch) => {
    expect(() => mergeEncodedSessions(base, patch)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^BAD_(VALUE|SESSION)$/) }),
    )
  })
})

describe('patchEncodedSession', () => {
  it('keeps the codec, and what is not touched', () => {
    const base = php('a:2:{s:1:"f";d:1;i:5;O:1:"A":0:{}}')
    expect(stored(patchEncodedSession(base, { n: 1 }, []))).toBe('a:3:{s:1:"f";d:1;i:5;O:1:"A":0:{}s:1:"n";i:1;}')
    expect(stored(patchEncodedSession(base, { f: 1 }, ['5']))).toBe('a:1:{s:1:"f";i:1;}')
    expect(stored(patchEncodedSession(ours({ a: 1, b: 2 }), { b: 3 }, ['a']))).toEqual({ b: 3 })
    expect(stored(patchEncodedSession(none(phpSerialize), { a: 1 }, []))).toBe('a:1:{s:1:"a";i:1;}')
    expect(stored(patchEncodedSession(none(msgpack), { a: 1 }, []))).toEqual({ a: 1 })
  })

  it('refuses what it cannot read', () => {
    expect(() => patchEncodedSession(php('a:1:{'), { a: 1 }, [])).toThrow(
      expect.objectContaining({ code: 'BAD_VALUE' }),
    )
    expect(() => patchEncodedSession(php('i:1;'), { a: 1 }, [])).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }))
  })
})
