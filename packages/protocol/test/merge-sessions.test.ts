import { describe, expect, it } from 'vitest'
import { mergeSessions } from '../src/merge-sessions.ts'

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
