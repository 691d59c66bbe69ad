import { encodeFrame, Frame } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { isNobody, memberOf, readConnectionIds, readExcludedIds, readJson, readTexts } from '../src/parameters.ts'

/** Values that are neither a list nor a map. */
const SCALARS = [null, undefined, 'text', 5, true]

function frameWith(ext: string): Frame {
  return new Frame(encodeFrame({ command: 6, ext }), 0)
}

describe('JSON', () => {
  test('is read from the ext; an empty one is null', () => {
    expect(readJson(frameWith('{"a":[1]}'))).toEqual({ a: [1] })
    expect(readJson(frameWith(''))).toBeNull()
  })

  test('that is none is BAD_PARAMETERS', () => {
    expect(() => readJson(frameWith('{"a"'))).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }))
  })

  test('keeps every digit of the long numbers that PHP has for uids, and everything else as it is', () => {
    const json = String.raw`[9007199254740993,-1234567890123456789,{"12345678901234567":"\" 1234567890123456789 \\"},1.2345678901234567e5]`
    expect(readJson(frameWith(json))).toEqual([
      '9007199254740993',
      '-1234567890123456789',
      { '12345678901234567': '" 1234567890123456789 \\' },
      123456.78901234567,
    ])
    for (const number of [
      '0.12345678901234567',
      '-0.12345678901234567',
      '1E+1234567890123456',
      '1.2345678901234567E-10',
    ]) {
      expect(readJson(frameWith(`[${number}]`))).toEqual([Number(number)])
    }
  })

  test.each([
    ['one text of quotes that never ends', `["${String.raw`\"`.repeat(2_000_000)}1234567890123456`],
    ['a number of a million digits', `[${'1'.repeat(1_000_000)}]`],
  ])('takes linear time for %s', (_what, json) => {
    const start = performance.now()
    try {
      readJson(frameWith(json))
    } catch {
      // whether it is JSON does not matter here
    }
    expect(performance.now() - start).toBeLessThan(5_000)
  })
})

test('the member of something that is no object is undefined', () => {
  expect(memberOf({ a: 1 }, 'a')).toBe(1)
  for (const scalar of SCALARS) expect(memberOf(scalar, 'length')).toBeUndefined()
})

describe('texts', () => {
  test('are the scalars of a list or map, as PHP means them', () => {
    expect(readTexts(['a', 5, '5'])).toEqual(['a', '5', '5'])
    expect(readTexts({ x: 'a', y: 1.5 })).toEqual(['a', '1.5'])
  })

  test('leave out lists and maps', () => {
    expect(readTexts([null, true, false, ['a'], { b: 'c' }, 'd'])).toEqual(['', '1', '0', 'd'])
    for (const scalar of SCALARS) expect(readTexts(scalar)).toEqual([])
  })
})

test('connection ids are the values of a list or map', () => {
  expect(readConnectionIds([5, '9'])).toEqual([5, 9])
  expect(readConnectionIds({ 5: 5, 9: 9 })).toEqual([5, 9])
  expect(readConnectionIds('5')).toEqual([])
})

test('ids to leave out are the keys of a map', () => {
  expect(readExcludedIds({ 5: 'x', 9: null })).toEqual(new Set([5, 9]))
  for (const scalar of SCALARS) expect(readExcludedIds(scalar)).toEqual(new Set())
})

test("'' and '0' are nobody", () => {
  expect(['', '0', '00', ' ', 'a'].map(isNobody)).toEqual([true, true, false, false, false])
})
