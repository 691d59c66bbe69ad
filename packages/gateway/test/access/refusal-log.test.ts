import { expect, test } from 'vitest'
import { RefusalLog } from '../../src/access/refusal-log.ts'
import { RecordedLog } from '../support/recorded-log.ts'

test('a flood of refusals is counted, and logged every ten seconds of each reason', () => {
  const log = new RecordedLog()
  const refusals = new RefusalLog(log)
  for (let now = 0; now < 25_000; now += 1) refusals.add('origin', { address: '192.0.2.1' }, now)
  refusals.add('token', { address: '192.0.2.2' }, 25_000)
  expect(refusals.counts).toMatchObject({ connections: 0, origin: 25_000, token: 1 })
  expect(log.entries.map(({ details }) => details)).toEqual([
    { reason: 'origin', address: '192.0.2.1', refused: 1 },
    { reason: 'origin', address: '192.0.2.1', refused: 10_000 },
    { reason: 'origin', address: '192.0.2.1', refused: 10_000 },
    { reason: 'token', address: '192.0.2.2', refused: 1 },
  ])
})
