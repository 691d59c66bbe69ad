import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { RepeatedWarnings } from '../src/repeated-warnings.ts'
import { keptLog } from './link-pair.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('logs a warning at once, and then how often it was repeated, less and less often', () => {
  const log = keptLog()
  const warnings = new RepeatedWarnings(log, 1_000)
  warnings.warn('kind', 'me', { peer: 'a' }, 'refused')
  warnings.warn('kind', 'me', { peer: 'b' }, 'refused')
  warnings.warn('kind', 'me', { peer: 'c' }, 'refused')
  expect(log.lines).toEqual([{ details: { peer: 'a' }, level: 'warn', message: 'refused' }])
  vi.advanceTimersByTime(1_000)
  expect(log.lines[1]).toEqual({
    details: { peer: 'c', times: 2 },
    level: 'warn',
    message: 'refused (repeated: 2 times)',
  })
  warnings.warn('kind', 'me', { peer: 'd' }, 'refused')
  vi.advanceTimersByTime(1_999)
  expect(log.lines).toHaveLength(2)
  vi.advanceTimersByTime(1)
  expect(log.lines[2]).toMatchObject({ details: { peer: 'd', times: 1 } })
  vi.advanceTimersByTime(4_000) // nothing happens in this pause: the next one is the first again
  warnings.warn('kind', 'me', { peer: 'e' }, 'refused')
  expect(log.lines[3]).toMatchObject({ details: { peer: 'e' }, message: 'refused' })
  expect(log.lines).toHaveLength(4)
})

it('tells peers apart, up to 64, and kinds always', () => {
  const log = keptLog()
  const warnings = new RepeatedWarnings(log, 1_000)
  for (let peer = 0; peer < 1_000; peer += 1) warnings.warn('kind', `peer ${peer}`, { peer }, 'refused')
  expect(log.lines.map(({ details }) => details.peer)).toEqual(Array.from({ length: 65 }, (_, peer) => peer))
  warnings.warn('another kind', 'peer 999', {}, 'closed')
  expect(log.lines[65]).toMatchObject({ message: 'closed' })
  vi.advanceTimersByTime(1_000)
  expect(log.lines.slice(66)).toMatchObject([{ details: { peer: 999, times: 1_000 - 65 } }])
})

it('logs what was counted when it is closed, and from then on everything at once', () => {
  const log = keptLog()
  const warnings = new RepeatedWarnings(log, 1_000)
  for (let times = 0; times < 3; times += 1) warnings.warn('kind', 'me', {}, 'refused')
  warnings.close()
  vi.advanceTimersByTime(10_000)
  expect(log.lines.map(({ details }) => details.times)).toEqual([undefined, 2])
  for (let times = 0; times < 2; times += 1) warnings.warn('kind', 'me', {}, 'refused')
  expect(log.lines).toHaveLength(4)
})
