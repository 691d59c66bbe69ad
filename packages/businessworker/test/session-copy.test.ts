import { MAX_SESSION_BYTES, msgpack } from '@gatewayworker/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeSession, patchSession, type StoredSession, storeSession } from '../../gateway/src/session.ts'
import { SessionCopy } from '../src/session-copy.ts'

type Session = Record<string, unknown>
type Kind = 'replace' | 'merge' | 'patch'

const { decode, encode } = msgpack
const NOTHING = Buffer.alloc(0)

/**
 * A copy and a gateway with the real gateway's session code, and a queue each way in place of the link: a test decides when what was
 * sent arrives.
 */
class Pair {
  readonly copy = new SessionCopy(NOTHING)
  #stored: StoredSession | undefined
  readonly #toGateway: { bytes: Buffer; kind: Kind }[] = []
  readonly #toWorker: { bytes: Buffer; isOwn: boolean }[] = []

  get atGateway(): Session {
    return this.#stored === undefined ? {} : (decode(this.#stored.bytes) as Session)
  }

  /** A handler changes what it read, from beginning to end. */
  handle(change: (session: Session) => void): void {
    const before = this.copy.bytes
    const after = this.copy.read()
    change(after)
    const patch = this.copy.change(before, after)
    if (patch !== undefined) this.#toGateway.push({ bytes: encode(patch), kind: 'patch' })
    expect(this.copy.read()).toEqual(after)
  }

  /** A handler calls setSession or updateSession. */
  write(kind: 'replace' | 'merge', session: Session): void {
    this.copy.onWritten(kind, session)
    this.#toGateway.push({ bytes: encode(session), kind })
  }

  /** Somebody else changes the session at the gateway. */
  writeElsewhere(kind: 'replace' | 'merge', session: Session): void {
    this.#apply(kind, encode(session), false)
  }

  /** The gateway gets the oldest change that is on its way. */
  arriveAtGateway(): void {
    const change = this.#toGateway.shift()
    if (change !== undefined) this.#apply(change.kind, change.bytes, true)
  }

  /** The worker gets the oldest news that is on its way. */
  arriveAtWorker(): void {
    const news = this.#toWorker.shift()
    if (news !== undefined) this.copy.onChanged(news.bytes, news.isOwn)
  }

  arriveAll(): void {
    while (this.#toGateway.length > 0) this.arriveAtGateway()
    while (this.#toWorker.length > 0) this.arriveAtWorker()
  }

  #apply(kind: Kind, bytes: Buffer, isOwn: boolean): void {
    if (kind === 'replace') this.#stored = storeSession(undefined, { bytes, codec: msgpack })
    else
      this.#stored =
        kind === 'merge'
          ? mergeSession(this.#stored, { bytes, codec: msgpack })
          : patchSession(this.#stored, { bytes, codec: msgpack })
    this.#toWorker.push({ bytes: this.#stored.bytes, isOwn })
  }
}

describe('a change', () => {
  const copyOf = (session: Session) => new SessionCopy(encode(session))

  test.each<[string, Session, Session, object | undefined]>([
    ['of nothing', { a: 1, b: { c: [1] } }, { a: 1, b: { c: [1] } }, undefined],
    ['of a number that is none', { a: Number.NaN }, { a: Number.NaN }, undefined],
    ['of a value', { a: 1, b: 2 }, { a: 1, b: 3 }, { set: { b: 3 }, unset: [] }],
    ['inside a value', { a: { b: 1 }, c: 1 }, { a: { b: 2 }, c: 1 }, { set: { a: { b: 2 } }, unset: [] }],
    ['to null', { a: 1 }, { a: null }, { set: { a: null }, unset: [] }],
    ['by a new key', {}, { a: [] }, { set: { a: [] }, unset: [] }],
    ['by deleting', { a: 1, b: 2 }, { b: 2 }, { set: {}, unset: ['a'] }],
    ['to undefined, which is deleting', { a: 1 }, { a: undefined }, { set: {}, unset: ['a'] }],
  ])('%s', (_what, before, after, patch) => {
    const copy = copyOf(before)
    expect(copy.change(copy.bytes, after)).toEqual(patch)
    expect(JSON.stringify(copy.read())).toBe(JSON.stringify(after))
  })

  test('keeps the keys that came from elsewhere since the handler began', () => {
    const copy = copyOf({ a: 1 })
    const [before, after] = [copy.bytes, copy.read()]
    copy.onChanged(encode({ a: 1, b: 2 }), false)
    after.a = 2
    copy.change(before, after)
    expect(copy.read()).toEqual({ a: 2, b: 2 })
  })
})

describe('news of a foreign change', () => {
  test('is taken at once when nothing of our own is on its way', () => {
    const pair = new Pair()
    pair.writeElsewhere('replace', { a: 1 })
    pair.arriveAtWorker()
    expect(pair.copy.read()).toEqual({ a: 1 })
  })

  test('does not undo a change of our own that is on its way', () => {
    const pair = new Pair()
    pair.writeElsewhere('replace', { a: 1, b: 1 })
    pair.handle((session) => {
      session.a = 2
    })
    pair.arriveAtWorker()
    expect(pair.copy.read()).toEqual({ a: 2 })
    pair.arriveAll()
    expect(pair.copy.read()).toEqual({ a: 2, b: 1 })
  })

  test('waits until the last of several own changes is confirmed', () => {
    const pair = new Pair()
    for (const a of [1, 2]) {
      pair.handle((session) => {
        session.a = a
      })
    }
    pair.arriveAtGateway()
    pair.writeElsewhere('merge', { b: 1 })
    pair.arriveAtWorker()
    expect(pair.copy.read()).toEqual({ a: 2 })
    pair.arriveAtWorker()
    expect(pair.copy.read()).toEqual({ a: 2 })
    pair.arriveAll()
    expect(pair.copy.read()).toEqual({ a: 2, b: 1 })
  })

  test('that came after our own has the last word', () => {
    const pair = new Pair()
    pair.handle((session) => {
      session.a = 'ours'
    })
    pair.arriveAtGateway()
    pair.writeElsewhere('replace', { a: 'theirs' })
    pair.arriveAll()
    expect(pair.copy.read()).toEqual({ a: 'theirs' })
  })
})

test('when everything has arrived the copy is what the gateway has, whatever happened in between', () => {
  const session = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(fc.nat(3), fc.record({ x: fc.nat(3) }, { requiredKeys: [] })),
  )
  const kind = fc.constantFrom<'replace' | 'merge'>('replace', 'merge')
  const step = fc.oneof(
    fc.record({ verb: fc.constant('handle' as const), session }),
    fc.record({ verb: fc.constantFrom('write' as const, 'writeElsewhere' as const), kind, session }),
    fc.record({ verb: fc.constantFrom('arriveAtGateway' as const, 'arriveAtWorker' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const pair = new Pair()
      for (const step of steps) {
        if (step.verb === 'handle') {
          pair.handle((target) => {
            for (const key of Object.keys(target)) if (!(key in step.session)) delete target[key]
            Object.assign(target, step.session)
          })
        } else if ('kind' in step) {
          pair[step.verb](step.kind, step.session)
        } else {
          pair[step.verb]()
        }
      }
      pair.arriveAll()
      expect(pair.copy.read()).toEqual(pair.atGateway)
    }),
    { numRuns: 500 },
  )
})

test('a change from any session to any other makes the copy that other one, and nothing is sent when both are the same', () => {
  const value = fc.letrec((value) => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<unknown>(null, true, 0, 1, Number.NaN, 'a', 5n, new Date(0), new Date(1), Buffer.from('a')),
      fc.array(value('any'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', '1'), value('any'), { maxKeys: 2, noNullPrototype: true }),
    ),
  })).any
  const session = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, { noNullPrototype: true })
  fc.assert(
    fc.property(session, session, (before, after) => {
      const copy = new SessionCopy(encode(before))
      const { bytes } = copy
      expect(copy.change(bytes, copy.read())).toBeUndefined()
      const patch = copy.change(bytes, after)
      expect(copy.read()).toEqual(after)
      const names = Object.keys({ ...before, ...after })
      const changed = names.filter((name) => !encode(before[name]).equals(encode(after[name])))
      expect([...Object.keys(patch?.set ?? {}), ...(patch?.unset ?? [])].sort()).toEqual(changed.sort())
    }),
    { numRuns: 2000 },
  )
})

test('a session that is too long for a frame is refused, and the copy stays what it was', () => {
  const pair = new Pair()
  pair.handle((session) => Object.assign(session, { a: 1 }))
  pair.arriveAll()
  const tooLong = { blob: 'x'.repeat(MAX_SESSION_BYTES) }
  expect(() => pair.copy.change(pair.copy.bytes, tooLong)).toThrow(expect.objectContaining({ code: 'BAD_SESSION' }))
  pair.writeElsewhere('merge', { b: 2 })
  pair.arriveAll()
  expect(pair.copy.read()).toEqual({ a: 1, b: 2 })
})
