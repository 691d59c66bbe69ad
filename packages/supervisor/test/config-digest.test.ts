import { describe, expect, test } from 'vitest'
import { changedKeys, digestConfig } from '../src/config-digest.ts'

const before = {
  gateways: [{ listen: 'websocket://0.0.0.0:7272', trustedProxy: ['10.0.0.0/8'] }, { listen: 'text://0.0.0.0:7273' }],
  registers: [],
  secretKey: 'S',
  workers: [{ count: 2, events: './Events.ts' }],
}

describe('what has changed in a config file', () => {
  test.each<[string, object, string[]]>([
    ['nothing', before, []],
    ['a value', { ...before, secretKey: 'T' }, ['secretKey']],
    ['a key that is new or gone', { ...before, logLevel: 'warn', registers: undefined }, ['logLevel', 'registers']],
    [
      'a value of a group',
      { ...before, gateways: [{ ...before.gateways[0], trustedProxy: [] }, before.gateways[1]] },
      ['gateways[0].trustedProxy'],
    ],
    ['a group that is gone', { ...before, gateways: before.gateways.slice(0, 1) }, ['gateways[1]']],
    ['a group that is new', { ...before, workers: [...before.workers, { count: 1, events: 'x' }] }, ['workers[1]']],
    ['only the order of keys', Object.fromEntries(Object.entries(before).reverse()), []],
    ['the last group of a kind', { ...before, workers: [] }, ['workers', 'workers[0]']],
  ])('is named: %s', (_what, now, keys) => {
    expect(changedKeys(digestConfig(before), digestConfig(now as Record<string, unknown>))).toEqual(keys)
  })

  test('is found without a value leaving the process', () => {
    expect(JSON.stringify(digestConfig(before))).not.toMatch(/7272|Events|"S"/)
  })
})
