import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RecordedLog } from '../../gateway/test/support/recorded-log.ts'
import { setTimerLog, Timer } from '../src/timer.ts'

let log: RecordedLog

beforeEach(() => {
  vi.useFakeTimers()
  log = new RecordedLog()
  setTimerLog(log)
})
afterEach(() => {
  Timer.delAll()
  vi.useRealTimers()
})

test('calls every so many seconds, with its arguments', () => {
  const fn = vi.fn((_a: string, _b: number) => {})
  Timer.add(0.5, fn, ['a', 1])
  vi.advanceTimersByTime(499)
  expect(fn).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1_001)
  expect(fn.mock.calls).toEqual([
    ['a', 1],
    ['a', 1],
    ['a', 1],
  ])
})

test('calls once if it is not persistent, and is gone then', () => {
  const fn = vi.fn()
  const id = Timer.add(1, fn, [], false)
  vi.advanceTimersByTime(5_000)
  expect(fn).toHaveBeenCalledTimes(1)
  expect(Timer.del(id)).toBe(false)
})

test('is deleted by its number, which no other has', () => {
  const [first, second] = [vi.fn(), vi.fn()]
  const id = Timer.add(1, first)
  expect(Timer.add(1, second)).not.toBe(id)
  expect([Timer.del(id), Timer.del(id), Timer.del(-1)]).toEqual([true, false, false])
  vi.advanceTimersByTime(1_000)
  expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1])
})

test('may delete itself', () => {
  let calls = 0
  const id = Timer.add(1, () => {
    calls += 1
    if (calls === 2) Timer.del(id)
  })
  vi.advanceTimersByTime(10_000)
  expect(calls).toBe(2)
})

test('that throws or rejects is logged and called again', async () => {
  const id = Timer.add(1, () => {
    throw new Error('thrown')
  })
  const other = Timer.add(1, () => Promise.reject(new Error('rejected')))
  await vi.advanceTimersByTimeAsync(2_000)
  const logged = log.of('a timer threw').map(({ details, level }) => [level, details.timer, details.err.message])
  const [thrown, rejected] = [
    ['error', id, 'thrown'],
    ['error', other, 'rejected'],
  ]
  expect(logged).toEqual([thrown, rejected, thrown, rejected])
})

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])('%d seconds are no time', (seconds) => {
  expect(() => Timer.add(seconds, () => {})).toThrow(RangeError)
})
