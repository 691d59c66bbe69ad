import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeAnswer, isPlainObject, msgpack } from '../src/codec.ts'
import { GatewayWorkerError } from '../src/errors.ts'

const fromHex = (hex: string) => Buffer.from(hex, 'hex')

/** The one thing that a decoder may do with bytes that are no value. */
function expectBadValue(bytes: Uint8Array): void {
  for (const decode of [msgpack.decode, decodeAnswer]) {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ name: 'GatewayWorkerError', code: 'BAD_VALUE' }))
  }
}

describe('msgpack', () => {
  it('writes plain msgpack that anyone can read', () => {
    expect(msgpack.encode({ n: 1, s: 'é', l: [true, null], b: Buffer.from([1, 2]) }).toString('hex')).toBe(
      // map 16 of 4: "n" 1, "s" str of 2 bytes, "l" list of 2, "b" bin 8 of 2
      'de0004a16e01a173a2c3a9a16c92c3c0a162c4020102',
    )
  })

  it('gives back what it wrote', () => {
    const values = fc.letrec((value) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, false),
        fc.string({ unit: 'binary' }),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.array(value('any'), { maxLength: 5 }),
        fc.dictionary(fc.string(), value('any'), { maxKeys: 5, noNullPrototype: true }),
      ),
    })).any
    fc.assert(
      fc.property(values, (value) => {
        expect(withoutProto(msgpack.decode(msgpack.encode(value)))).toEqual(withoutProto(value))
      }),
    )
  })

  it('keeps earlier results as they were', () => {
    const first = msgpack.encode({ a: 'first' })
    const copy = Buffer.from(first)
    for (let n = 0; n < 1000; n += 1) msgpack.encode({ a: `later ${n}`, padding: 'x'.repeat(n) })
    expect(first.equals(copy)).toBe(true)
  })

  it('has the maps of an answer as Maps, in the order written, and those of a value as plain objects', () => {
    const bytes = msgpack.encode(
      new Map<unknown, unknown>([
        [9, 'nine'],
        ['b', new Map([[5, 1]])],
        [1, 'one'],
        ['1', 'text'],
      ]),
    )
    expect([...(decodeAnswer(bytes) as Map<unknown, unknown>)]).toEqual([
      [9, 'nine'],
      ['b', new Map([[5, 1]])],
      [1, 'one'],
      ['1', 'text'],
    ])
    expect(
      isPlainObject(
        msgpack.decode(
          msgpack.encode(
            new Map([
              ['z', 1],
              ['a', 2],
            ]),
          ),
        ),
      ),
    ).toBe(true)
    expect(Object.keys(msgpack.decode(msgpack.encode({ z: 1, a: 2 })) as object)).toEqual(['z', 'a'])
  })

  it('lets no key reach a prototype', () => {
    const bytes = fromHex(`81a9${Buffer.from('__proto__').toString('hex')}81a161c3`)
    expect(Object.getPrototypeOf(msgpack.decode(bytes))).toBe(Object.prototype)
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false)
  })
})

describe('bytes that are not exactly one value', () => {
  it('are a BAD_VALUE when they stop anywhere too early', () => {
    const whole = msgpack.encode({ list: [1, 70_000, 1.5, 'text', Buffer.alloc(40)], map: { x: 'y'.repeat(300) } })
    for (let end = 0; end < whole.length; end += 1) expectBadValue(whole.subarray(0, end))
    expect(msgpack.decode(whole)).toBeTypeOf('object')
  })

  it('are a BAD_VALUE when more follows', () => {
    expectBadValue(fromHex('c0c0'))
    expectBadValue(Buffer.concat([msgpack.encode({ a: 1 }), Buffer.from([0])]))
  })

  it.each(['c1', '92c101', '81a161c1', '8191c101', '93c0c192c2c1', '9192c1c1'])(
    'are a BAD_VALUE with the byte that msgpack never uses: %s',
    (hex) => expectBadValue(fromHex(hex)),
  )

  it('may hold 0xc1 within a value', () => {
    expect(msgpack.decode(fromHex('ccc1'))).toBe(0xc1)
    expect(msgpack.decode(fromHex('c401c1'))).toEqual(fromHex('c1'))
    expect(decodeAnswer(fromHex('8101ccc1'))).toEqual(new Map([[1, 0xc1]]))
  })

  it.each([
    ['a list', 'ddffffffff'],
    ['lists in lists', 'dd00ffffff'.repeat(20)],
    ['a map', 'dfffffffff'],
    ['bytes', 'c6ffffffff'],
    ['text', 'dbffffffff'],
    ['an extension', 'c9ffffffff01'],
  ])('are a BAD_VALUE when %s declares more than is there', (_name, hex) => expectBadValue(fromHex(hex)))

  it('are a BAD_VALUE when they refer to themselves', () => {
    // msgpackr's own extensions 0x69 (here is number 1) and 0x70 (number 1 again): a list that holds itself
    expectBadValue(fromHex('d6690000000191d67000000001'))
  })

  it('are a BAD_VALUE when they nest without end, and the next value is read as ever', () => {
    expectBadValue(Buffer.concat([Buffer.alloc(1_000_000, 0x91), fromHex('c0')]))
    expectBadValue(Buffer.alloc(1_000_000, 0x81))
    expect(msgpack.decode(fromHex('81a16101'))).toEqual({ a: 1 })
    expect(decodeAnswer(fromHex('81a16101'))).toEqual(new Map([['a', 1]]))
  })

  it('never end in another error, whatever they are', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.array(fc.integer({ min: 0x80, max: 0xff }), { maxLength: 30 }),
    )
    fc.assert(
      fc.property(bytes, (garbage) => {
        for (const decode of [msgpack.decode, decodeAnswer]) {
          try {
            decode(Buffer.from(garbage))
          } catch (error) {
            expect(error).toBeInstanceOf(GatewayWorkerError)
            expect(error).toHaveProperty('code', 'BAD_VALUE')
          }
        }
      }),
      { numRuns: 3000 },
    )
  })
})

it('decodes to bytes of its own', () => {
  const encoded = Buffer.from(msgpack.encode({ bytes: Buffer.from([1, 2]) }))
  const decoded = msgpack.decode(encoded) as { bytes: Buffer }
  encoded.fill(0)
  expect(decoded.bytes).toEqual(Buffer.from([1, 2]))
  expect(decoded.bytes.buffer.byteLength).toBeLessThan(100)
})

describe('isPlainObject', () => {
  it.each([{}, { a: 1 }, Object.create(null)])('takes %j', (value) => expect(isPlainObject(value)).toBe(true))

  it.each([null, undefined, 1, 'text', [], new Map(), new Date(), Buffer.alloc(1), new (class A {})(), () => {}])(
    'refuses %s',
    (value) => expect(isPlainObject(value)).toBe(false),
  )
})

/** Without the one key that comes back under another name, so that no decoded map has a foreign prototype; and with 0 for -0. */
function withoutProto(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProto)
  if (!isPlainObject(value)) return value === 0 ? 0 : value
  const entries = Object.entries(value).filter(([key]) => !['__proto__', '__proto_'].includes(key))
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutProto(item)]))
}
