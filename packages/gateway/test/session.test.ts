import { DEFAULT_MAX_FRAME_BYTES, type EncodedSession, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { mergeSession, patchSession, type StoredSession, storeSession } from '../src/session.ts'

const { decode, encode } = msgpack

/** Bytes as a native peer writes them. */
function written(bytes: Buffer): EncodedSession {
  return { bytes, codec: msgpack }
}

function stored(session: object): StoredSession {
  return storeSession(undefined, written(encode(session)))
}

function read({ bytes }: StoredSession): unknown {
  return decode(bytes)
}

/** Bytes that are no session, each with the code that says so. */
const GARBAGE = [
  ['a list', encode([1]), 'BAD_SESSION'],
  ['null', encode(null), 'BAD_SESSION'],
  ['a number', encode(5), 'BAD_SESSION'],
  ['bytes', encode(Buffer.from('x')), 'BAD_SESSION'],
  ['a truncated map', encode({ a: 'abc' }).subarray(0, -1), 'BAD_VALUE'],
  ['a map and more', Buffer.concat([encode({ a: 1 }), Buffer.from([0])]), 'BAD_VALUE'],
] as const

describe('storing', () => {
  test('keeps the very bytes, in a copy', () => {
    const bytes = Buffer.from(encode({ b: 1, a: { c: [1] } }))
    const { bytes: kept } = storeSession(undefined, written(bytes))
    expect(kept.equals(bytes)).toBe(true)
    bytes.fill(0)
    expect(decode(kept)).toEqual({ b: 1, a: { c: [1] } })
  })

  test('takes no bytes for an empty session', () => {
    expect(storeSession(undefined, written(Buffer.alloc(0))).bytes.length).toBe(0)
  })
})

describe('merging', () => {
  test('merges maps at every depth and lists by index, replaces the rest, and keeps the order of keys', () => {
    const before = stored({ name: 'a', room: { id: 1, tags: ['x', 'y'] }, last: 1 })
    const merged = mergeSession(
      before,
      written(encode({ room: { tags: ['z'], topic: 't' }, name: ['b'], added: null })),
    )
    expect(JSON.stringify(read(merged))).toBe(
      '{"name":["b"],"room":{"id":1,"tags":["z","y"],"topic":"t"},"last":1,"added":null}',
    )
  })

  test('into no session is the patch', () => {
    expect(read(mergeSession(undefined, written(encode({ a: { b: 1 } }))))).toEqual({ a: { b: 1 } })
  })
})

describe('patching', () => {
  test('sets and unsets top-level keys only', () => {
    const patched = patchSession(
      stored({ a: { b: 1 }, c: 2, d: 3 }),
      written(encode({ set: { a: { x: 1 }, e: 4 }, unset: ['c', 'none'] })),
    )
    expect(read(patched)).toEqual({ a: { x: 1 }, d: 3, e: 4 })
  })

  test('a key in both is set', () => {
    expect(read(patchSession(stored({ a: 1 }), written(encode({ set: { a: 2 }, unset: ['a'] }))))).toEqual({ a: 2 })
  })

  test.each([{}, { set: {} }, { unset: [] }, { set: [], unset: [] }, { set: {}, unset: {} }, { set: 1, unset: 'a' }])(
    '%j is no patch',
    (patch) => {
      expect(() => patchSession(undefined, written(encode(patch)))).toThrow(
        expect.objectContaining({ code: 'BAD_PARAMETERS' }),
      )
    },
  )
})

describe.each(GARBAGE)('%s', (_what, bytes, code) => {
  test('is refused', () => {
    const refusal = expect.objectContaining({ code })
    expect(() => storeSession(undefined, written(Buffer.from(bytes)))).toThrow(refusal)
    expect(() => mergeSession(stored({ a: 1 }), written(Buffer.from(bytes)))).toThrow(refusal)
    expect(() => patchSession(stored({ a: 1 }), written(Buffer.from(bytes)))).toThrow(refusal)
  })
})

test('no change makes a session longer than what fits a frame with room to spare', () => {
  const part = 'x'.repeat(DEFAULT_MAX_FRAME_BYTES / 3)
  const refusal = expect.objectContaining({ code: 'BAD_SESSION' })
  const before = stored({ a: part })
  expect(() => mergeSession(before, written(encode({ b: part })))).toThrow(refusal)
  expect(() => patchSession(before, written(encode({ set: { b: part }, unset: [] })))).toThrow(refusal)
  expect(() => storeSession(undefined, written(encode({ a: part, b: part })))).toThrow(refusal)
})
