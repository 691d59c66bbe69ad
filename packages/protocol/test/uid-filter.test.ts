import { randomBytes, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeUidHashes, encodeUidHashes, hashUid, UidFilter } from '../src/uid-filter.ts'

const KIB = 1024

/** How often a full filter wrongly says "maybe" of uids that it was never given. */
function wrongRate(uidAt: (index: number) => string, count: number): number {
  const filter = UidFilter.forCount(count)
  expect(filter.capacity - count).toBeLessThan(2)
  for (let at = 0; at < count; at += 1) filter.add(hashUid(uidAt(at)))
  const asked = 100_000
  let wrong = 0
  for (let at = count; at < count + asked; at += 1) if (filter.mayHave(hashUid(uidAt(at)))) wrong += 1
  return wrong / asked
}

describe('a filter', () => {
  const uuids = Array.from({ length: 160_000 }, () => randomUUID())
  test.each([
    ['numbers', (index: number) => String(index + 1)],
    ['numbers of orders', (index: number) => `2026${String(index).padStart(12, '0')}`],
    ['mail addresses', (index: number) => `user.${index}@example.com`],
    ['names of one length', (index: number) => Buffer.from(index.toString(36).padStart(6, '0')).toString('hex')],
    ['random names', (index: number) => uuids[index]!],
    ['Chinese names', (index: number) => `用户${String.fromCharCode(0x4e00 + (index % 5_000))}${index}`],
  ])('of %s that is full is wrong about fewer than 1 in 100 that are not in it', (_, uidAt) => {
    for (const count of [1_638, 52_428]) expect(wrongRate(uidAt, count)).toBeLessThan(0.01)
  })

  test('is never wrong about one that is in it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), fc.nat(100_000), (uids, count) => {
        const filter = UidFilter.forCount(count)
        for (const uid of uids) filter.add(hashUid(uid))
        const copy = UidFilter.from(filter.bytes)
        expect(uids.every((uid) => filter.mayHave(hashUid(uid)) && copy.mayHave(hashUid(uid)))).toBe(true)
        expect(uids.some((uid) => filter.add(hashUid(uid)))).toBe(false)
      }),
    )
  })

  test('is as large as is needed, and fits into a frame', () => {
    expect([0, 1_638, 1_639, 52_429, 10 ** 9].map((count) => UidFilter.forCount(count).bytes.length)).toEqual(
      [2, 2, 4, 128, 8 * KIB].map((size) => size * KIB),
    )
  })

  test('of a peer is its own copy', () => {
    const filter = UidFilter.forCount(1)
    filter.add(hashUid('a'))
    const copy = UidFilter.from(filter.bytes)
    filter.bytes.fill(0)
    expect(copy.mayHave(hashUid('a'))).toBe(true)
  })

  test.each([0, 1, KIB, 2 * KIB - 1, 3 * KIB, 16 * KIB * KIB])('of %i bytes is refused', (length) => {
    expect(() => UidFilter.from(Buffer.alloc(length))).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }))
  })
})

describe('the hash of a uid', () => {
  test('is the one that the README defines', () => {
    const two32 = 2n ** 32n
    const times = (a: bigint, b: bigint) => (a * b) % two32
    const mix = (x: bigint) => {
      const once = times(x ^ (x >> 16n), 0x85ebca6bn)
      const twice = times(once ^ (once >> 13n), 0xc2b2ae35n)
      return twice ^ (twice >> 16n)
    }
    const defined = (uid: string) => {
      let [a, b] = [0xdeadbeefn, 0x41c6ce57n]
      for (let at = 0; at < uid.length; at += 1) {
        const unit = BigInt(uid.charCodeAt(at))
        const u = unit >= 0xd800n && unit <= 0xdfffn ? 0xfffdn : unit
        a = times(a ^ u, 0x9e3779b1n)
        b = times(b ^ u, 0x5f356495n)
      }
      return { first: Number(mix(a ^ (b >> 15n))), second: Number(mix(b ^ (a >> 13n)) | 1n) }
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (uid) => {
        const { first, second } = hashUid(uid)
        expect({ first: first >>> 0, second: second >>> 0 }).toEqual(defined(uid))
      }),
    )
  })

  test('is that of what comes out of UTF-8', () => {
    const uid = 'half \ud83d of a pair'
    expect(hashUid(uid)).toEqual(hashUid(Buffer.from(uid).toString()))
  })

  test('goes through a frame', () => {
    const hashes = Array.from({ length: 100 }, () => hashUid(randomUUID()))
    expect(decodeUidHashes(encodeUidHashes(hashes))).toEqual(hashes)
    expect(decodeUidHashes(Buffer.alloc(0))).toEqual([])
  })

  test('that is cut off is refused', () => {
    expect(() => decodeUidHashes(randomBytes(12))).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }))
  })
})
