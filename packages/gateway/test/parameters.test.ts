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
})

test('the member of something that is no object is undefined', () => {
  expect(memberOf({ a: 1 }, 'a')).toBe(1)
  for (const scalar of SCALARS) expect(memberOf(scalar, 'length')).toBeUndefined()
})

describe('texts', () => {
  test('are the strings and numbers of a list or map', () => {
    expect(readTexts(['a', 5, '5'])).toEqual(['a', '5', '5'])
    expect(readTexts({ x: 'a', y: 1.5 })).toEqual(['a', '1.5'])
  })

  test('leave out what is neither', () => {
    expect(readTexts([null, true, ['a'], { b: 'c' }, 'd'])).toEqual(['d'])
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
