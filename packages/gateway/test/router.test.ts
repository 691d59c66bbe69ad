import { Command } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { BUILT_IN_ROUTERS, type RoutedClient, type Router } from '../src/router.ts'
import { linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'

const client: RoutedClient = { clientId: '7f0000010b5400000001', remoteAddress: '127.0.0.1', uid: undefined }
const body = Buffer.alloc(0)

function workers(...counts: number[]) {
  return counts.map((clientCount, at) => ({ clientCount, key: `127.0.0.1:worker:${at}` }))
}

describe('least-connections', () => {
  const choose = (...counts: number[]) =>
    BUILT_IN_ROUTERS['least-connections'](workers(...counts), client, Command.ON_CONNECT, body).key.slice(-1)

  test('takes the worker with the fewest clients, wherever it stands', () => {
    expect([choose(0, 1, 2), choose(2, 1, 3), choose(5, 4, 3)]).toEqual(['0', '1', '2'])
  })

  test('takes the first of equals', () => {
    expect(choose(3, 1, 1)).toBe('1')
  })
})

test('random takes every worker, each about as often', () => {
  const counts = new Map<string, number>()
  const choices = workers(0, 0, 0, 0)
  for (let at = 0; at < 4_000; at += 1) {
    const { key } = BUILT_IN_ROUTERS.random(choices, client, Command.ON_CONNECT, body)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  expect(counts.size).toBe(4)
  // Seven standard deviations from the 1 000 that are expected.
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(200)
})

test.each<[what: string, router: () => unknown]>([
  ['a promise', async () => undefined],
  ['a promise', () => Promise.reject(new Error('a bug'))],
  ['null', () => null],
  ['an object (Object)', () => ({ key: 'a' })],
])('a router of the user’s that returns %s is named in the log, and the client is served', async (what, router) => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, router: router as Router })
  const worker = await linkWorker(gateway)
  await connectClient(gateway)
  await worker.nextClient()
  expect(log.of('the router returned')[0]?.message).toBe(`the router returned ${what}, and none of the workers`)
  expect(log.of('unhandled')).toEqual([])
})
