import { Command, connectionIdOf, msgpack, phpSerialize } from '@gatewayworker/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linkPhpBackend } from '../../gateway/test/support/php-peer.ts'
import type { Message } from '../src/index.ts'
import { encodeMessage } from '../src/message.ts'
import { startCluster } from './start-cluster.ts'

const { buffer } = Uint8Array.of(1, 2, 3, 4)
const shared = new SharedArrayBuffer(4)
new Uint8Array(shared).set([1, 2, 3, 4])
const cycle: Record<string, unknown> = {}
cycle.list = [cycle]

class Order {
  id = 7
  #secret = 1
  get secret(): number {
    return this.#secret
  }
}
class Sealed {
  readonly #secret = 1
  get secret(): number {
    return this.#secret
  }
}
class Catalogue {
  toJSON(): object {
    return { items: new Map([['a', 1]]) }
  }
}
interface Notice {
  title: string
  at?: Date
}

describe('a message', () => {
  test('of bytes arrives as a binary one with these bytes, whatever holds them', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    const messages = [
      new Uint8Array(buffer),
      Buffer.from(buffer),
      buffer,
      shared,
      new DataView(buffer),
      new Uint16Array(buffer),
      new Float32Array(buffer),
      new Uint8ClampedArray(shared),
      new Uint8Array(Uint8Array.of(9, 1, 2, 3, 4, 9).buffer, 1, 4),
      new DataView(Uint8Array.of(9, 1, 2, 3, 4, 9).buffer, 1, 4),
    ]
    for (const message of messages) await push.sendToClient(client.clientId, message)
    expect(await client.messages.take(messages.length)).toEqual(messages.map(() => Buffer.from(buffer)))
  })

  test('of text arrives as it was', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
        await push.sendToClient(client.clientId, text)
        expect(await client.messages.next()).toBe(text)
      }),
      { numRuns: 200 },
    )
    await push.sendToAll('half \ud83d')
    expect(await client.messages.next()).toBe('half \ufffd')
  })

  test('of JSON arrives as it was', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        fc.pre(typeof value !== 'string')
        await push.sendToClient(client.clientId, value as Message)
        expect(await client.messages.next()).toBe(JSON.stringify(value))
      }),
      { numRuns: 200 },
    )
  })

  test.each<[string, Message, string]>([
    ['an instance with fields', new Order(), '{"id":7}'],
    ['what has a toJSON', new URL('http://localhost/'), '"http://localhost/"'],
    ['a date', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    ['a Buffer among others, as Node has it', { b: Buffer.from('a') }, '{"b":{"type":"Buffer","data":[97]}}'],
    ['boxed primitives', { n: new Number(5), t: new String('x') }, '{"n":5,"t":"x"}'],
    ['what JSON leaves out', { a: undefined, b() {}, c: Number.NaN, d: [undefined] }, '{"c":null,"d":[null]}'],
    ['an object without a prototype', Object.create(null), '{}'],
    ['nothing', [{}, []], '[{},[]]'],
    ['100 levels', JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`), `${'['.repeat(100)}${']'.repeat(100)}`],
  ])('may be %s', (_what, message, json) => {
    expect(encodeMessage(message).body).toBe(json)
  })

  test.each<[string, unknown, string]>([
    ['a Map', new Map([['a', 1]]), 'message is an instance of Map'],
    ['a Set', new Set([1]), 'message is an instance of Set'],
    ['a Blob', new Blob(['x']), 'message is an instance of Blob'],
    ['a promise', Promise.resolve('x'), 'message is an instance of Promise'],
    ['an error', new TypeError('x'), 'message is an instance of TypeError'],
    ['an error with fields', Object.assign(new Error('x'), { code: 'X' }), 'message is an instance of Error'],
    ['a regular expression', /x/, 'message is an instance of RegExp'],
    ['an instance without fields', new Sealed(), 'message is an instance of Sealed'],
    ['a Map within', { a: [{ 'odd key': new Map() }] }, 'message.a[0]["odd key"] is an instance of Map'],
    ['a promise within', { user: Promise.resolve() }, 'message.user is an instance of Promise'],
    [
      'a typed array within',
      { a: { samples: new Float32Array(2) } },
      'message.a.samples is an instance of Float32Array',
    ],
    ['an ArrayBuffer within', [new ArrayBuffer(2)], 'message[0] is an instance of ArrayBuffer'],
    ['what its toJSON makes', { all: new Catalogue() }, 'message.all.items is an instance of Map'],
    ['what holds itself', cycle, 'Converting circular structure'],
    ['a bigint within', { id: 5n }, 'BigInt'],
    ['a function', () => {}, 'a message of type function'],
    ['a symbol', Symbol('x'), 'a message of type symbol'],
    ['undefined', undefined, 'a message of type undefined'],
  ])('is refused if it is %s', (_what, message, words) => {
    expect(() => encodeMessage(message as Message)).toThrow(
      expect.objectContaining({ code: 'BAD_MESSAGE', message: expect.stringContaining(words) }),
    )
  })

  test('has a type that leaves out what is refused', () => {
    const notice: Notice = { title: 'x' }
    const allowed: Message[] = [
      notice,
      [notice],
      new Order(),
      new Date(),
      new Catalogue(),
      buffer,
      shared,
      { a: { b: [1] } },
    ]
    allowed.push('text', 1.5, true, null, new DataView(buffer), new Float32Array(1), Object.freeze({ a: 1 }))
    const refused: Message[] = [
      // @ts-expect-error a Map
      new Map(),
      // @ts-expect-error a Set
      new Set(),
      // @ts-expect-error a Blob
      new Blob([]),
      // @ts-expect-error a forgotten await
      Promise.resolve('x'),
      // @ts-expect-error a function
      () => {},
      // @ts-expect-error a symbol
      Symbol('x'),
      // @ts-expect-error a bigint
      5n,
      // @ts-expect-error undefined
      undefined,
    ]
    expect([allowed.length, refused.length]).toEqual([15, 8])
  })
})

describe('a session', () => {
  test('arrives as it was at a backend and at a worker, and at a PHP backend as the README says', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const php = await linkPhpBackend(cluster.gateways[0]!)
    const id = connectionIdOf(client.clientId)
    const push = cluster.push()
    const value = fc.letrec((value) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        fc.double().map((number) => number + 0),
        fc.constantFrom(null, undefined, true),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.date(),
        fc.uint8Array().map((array) => Buffer.from(array)),
        fc.array(value('any')),
        fc.dictionary(fc.string(), value('any'), { noNullPrototype: true }),
      ),
    })).any
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), value, { noNullPrototype: true }), async (session) => {
        fc.pre(!hasProto(session))
        await push.setSession(client.clientId, session)
        expect(withoutMinusZero(await push.getSession(client.clientId))).toEqual(withoutMinusZero(session))
        const asPhp = phpSerialize.encode(withoutMinusZero(session)).toString('latin1')
        expect(await php.ask(Command.GET_SESSION_BY_CLIENT_ID, '', id)).toBe(asPhp)
        const { ext } = await cluster.workers[0]!.next(Command.SESSION_CHANGED)
        expect(withoutMinusZero(ext.length === 0 ? {} : msgpack.decode(ext))).toEqual(withoutMinusZero(session))
      }),
      { numRuns: 100 },
    )
  })

  test('with a typed array is refused, and the one before stays', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await push.setSession(client.clientId, { a: 1 })
    for (const write of [push.setSession.bind(push), push.updateSession.bind(push)]) {
      await expect(write(client.clientId, { cart: { items: [new Float32Array(1)] } })).rejects.toMatchObject({
        code: 'BAD_SESSION',
        message: expect.stringMatching(/^session\.cart\.items\[0\] is a Float32Array; /),
      })
    }
    expect(await push.getSession(client.clientId)).toEqual({ a: 1 })
  })
})

function hasProto(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return false
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasProto)
}

function withoutMinusZero(value: unknown): unknown {
  if (value === 0) return 0
  if (Array.isArray(value)) return value.map(withoutMinusZero)
  if (typeof value !== 'object' || value === null || value instanceof Date || Buffer.isBuffer(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutMinusZero(item)]))
}

describe('uids and groups', () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.maxSafeInteger(),
    fc.constantFrom(
      '__proto__',
      'constructor',
      'a\0b',
      '\0',
      ' ',
      '05',
      '-0',
      '5.0',
      '1e3',
      '9007199254740993',
      '[]',
      'null',
    ),
    fc.bigInt().map(String),
    fc.string({ minLength: 100, maxLength: 1000 }),
  )

  test('are the same everywhere', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const other = await cluster.connect()
    const [push, elsewhere] = [cluster.push(), cluster.push()]
    await fc.assert(
      fc.asyncProperty(names, names, async (name, another) => {
        const [text, anotherText] = [String(name), String(another)]
        fc.pre(![text, anotherText].includes('0') && text !== anotherText)
        await push.bindUid(client.clientId, name)
        await push.bindUid(other.clientId, another)
        await elsewhere.sendToUid(text, 'uid')
        await elsewhere.sendToUid([name], 'uids')
        expect(await client.messages.take(2)).toEqual(['uid', 'uids'])
        expect(await elsewhere.getClientIdByUid(name)).toEqual([client.clientId])
        expect(await elsewhere.batchGetClientIdByUid([name, anotherText])).toEqual(
          new Map([
            [text, [client.clientId]],
            [anotherText, [other.clientId]],
          ]),
        )
        expect(await elsewhere.getUidByClientId(client.clientId)).toBe(text)
        await push.joinGroup(client.clientId, name)
        await push.sendToGroup([text], 'group')
        expect(await client.messages.next()).toBe('group')
        expect(await push.getAllGroupIdList()).toEqual([text])
        expect(await push.getUidListByGroup(name)).toEqual([text])
        expect(await push.batchGetClientIdCountByGroup([name])).toEqual(new Map([[text, 1]]))
        await push.leaveGroup(client.clientId, text)
        expect([client.messages.size, other.messages.size]).toEqual([0, 0])
      }),
      { numRuns: 100 },
    )
  })
})
