import { expect, test } from 'vitest'
import { MAX_TIMER_MS, withTimes } from '../src/times.ts'

test('a time that is too long for a timer is the longest', () => {
  const options = { aMs: 0, bMs: 1.5, cMs: 2 ** 31, dMs: Number.POSITIVE_INFINITY, eMs: undefined, forMs: 7, name: 'x' }
  expect(withTimes(options)).toEqual({ ...options, cMs: MAX_TIMER_MS, dMs: MAX_TIMER_MS })
})

test.each([-1, Number.NaN, '5', null, {}])('%s is no time', (timeoutMs) => {
  expect(() => withTimes({ timeoutMs })).toThrow(new RangeError('timeoutMs must be a time in milliseconds'))
})
