import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { RecordedLog } from '../../gateway/test/support/recorded-log.ts'
import { GatewayClient } from '../src/index.ts'
import { startCluster } from './start-cluster.ts'

const ID = '7f0000010b5400000001'
/** What is dropped now is found in the next turn, at the latest. */
const twoTurns = async () => {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

afterEach(() => {
  vi.useRealTimers()
})

test('a program that waits for none of its calls is not ended by their rejections, and is warned once for each code', async () => {
  const script = fileURLToPath(new URL('fixtures/drop-calls.mjs', import.meta.url))
  const { stderr, stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 10_000 })
  expect(stdout.trim().split('\n')).toEqual([
    'caught BAD_SESSION',
    'awaited NO_REGISTER',
    'settled NO_REGISTER',
    'late NO_REGISTER',
  ])
  const codes = Array.from(
    stderr.matchAll(/\[(\w+)\] GatewayWorkerWarning: a call that nobody waits for failed: /g),
    ([, code]) => code,
  )
  expect(codes.sort()).toEqual([
    'BAD_CLIENT_ID',
    'BAD_GROUP',
    'BAD_MESSAGE',
    'BAD_SESSION',
    'BAD_UID',
    'NO_CURRENT_CLIENT',
    'NO_REGISTER',
  ])
})

describe('a call that nobody waits for', () => {
  // Nothing listens there.
  const start = () => {
    const log = new RecordedLog()
    return { log, push: new GatewayClient({ deadlineMs: 1, log, registerAddress: '127.0.0.1:1' }) }
  }

  test('goes to the log when it fails; others of its code are counted for ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    const { log, push } = start()
    for (let at = 0; at < 5; at += 1) void push.sendToUid('', 'm')
    void push.joinGroup(ID, '')
    await twoTurns()
    expect(log.entries.map(({ details, level }) => [level, details.code])).toEqual([
      ['warn', 'BAD_UID'],
      ['warn', 'BAD_GROUP'],
    ])
    expect(log.entries[0]).toMatchObject({
      details: { err: { code: 'BAD_UID' } },
      message: 'a call that nobody waits for failed: "" is no uid',
    })
    vi.advanceTimersByTime(10_000)
    expect(log.entries.slice(2)).toMatchObject([{ message: '4 more calls that nobody waits for failed with BAD_UID' }])
    vi.advanceTimersByTime(10_000)
    void push.sendToUid('', 'm')
    await twoTurns()
    expect(log.entries).toHaveLength(4)
  })

  test.each<[string, (call: Promise<unknown>) => unknown]>([
    ['awaited', async (call) => expect(call).rejects.toThrow()],
    ['caught', (call) => call.catch(() => {})],
    ['caught behind its result', (call) => call.then(() => {}).catch(() => {})],
    ['caught in the end', (call) => call.finally(() => {}).catch(() => {})],
    ['among others', (call) => Promise.allSettled([call])],
    ['returned by an async function', (call) => (async () => call)().catch(() => {})],
    ['awaited at the end of the turn', async (call) => Promise.resolve().then(() => call.catch(() => {}))],
  ])('is not one that is %s', async (_how, take) => {
    const { log, push } = start()
    await take(push.sendToUid('', 'm'))
    await take(push.getUidByClientId('x'))
    await twoTurns()
    expect(log.entries).toEqual([])
  })

  test('is none that has succeeded', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const log = new RecordedLog()
    const push = cluster.push({ log })
    void push.bindUid(client.clientId, 'u')
    void push.sendToAll('m', null, null, { receipt: true })
    await push.sendToUid('u', 'last')
    expect(await client.messages.take(2)).toEqual(['m', 'last'])
    expect(log.of('nobody waits')).toEqual([])
  })

  test('that has left at once has no promise of its own', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await push.isOnline(client.clientId)
    const sent = new Set([
      push.sendToAll('m'),
      push.sendToClient(client.clientId, 'm'),
      push.sendToUid('u', 'm'),
      push.sendToGroup('g', 'm'),
      push.joinGroup(client.clientId, 'g'),
      push.setSession(client.clientId, {}),
      push.closeClient(client.clientId),
    ])
    expect(sent.size).toBe(1)
  })
})
