import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Cluster, startCluster } from './cluster.ts'
import { temporaryFolder } from './temporary-folder.ts'
import type { TestClient } from './test-client.ts'

const LIMIT_MS = 800

/** Types above the code, so that lines and columns of what runs are others than those in the file. */
const eventsCode = `import { pbkdf2Sync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Gateway, type Context, type ProcessTimeoutReport } from '@gatewayworker/businessworker'

interface Order {
  text: string
  waits: number
}

type Ways = Record<string, (order: Order) => unknown>

const ways: Ways = {
  loop: spin,
  regex: ({ text }: Order): boolean => /^(a+)+$/.test(text.repeat(60) + 'b'),
  wait: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
  calculation: () => pbkdf2Sync('password', 'salt', 2 ** 31 - 1, 64, 'sha512'),
  short: ({ waits }: Order): void => {
    const end: number = performance.now() + waits / 2
    while (performance.now() < end);
  },
}

function spin(order: Order): never {
  for (;;) order.waits += 1
}

export function onConnect(clientId: string): Promise<void> {
  return Gateway.sendToClient(clientId, JSON.stringify({ clientId, workerPid: process.pid }))
}

export async function onMessage(clientId: string, message: string, context: Context): Promise<void> {
  // Nobody is to be stuck with the same message twice.
  if (!context.redelivered) await ways[message]?.({ text: 'a', waits: ${LIMIT_MS} })
  await Gateway.sendToCurrentClient(message)
}

export function processTimeoutHandler(report: ProcessTimeoutReport): boolean {
  writeFileSync(new URL('report.json', import.meta.url), JSON.stringify(report))
  return false
}
`

/** The line of the Events file that some code stands in, as a stack has it. */
function lineOf(code: string): string {
  return `Events.ts:${eventsCode.split('\n').findIndex((text) => text.includes(code)) + 1}:`
}

async function start(): Promise<{ cluster: Cluster; reportFile: string }> {
  const folder = temporaryFolder({ 'Events.ts': eventsCode, 'package.json': '{"type":"module"}' })
  const cluster = await startCluster({
    events: folder.path('Events.ts'),
    gatewayArgs: ['--no-worker-timeout', '30'],
    workerArgs: ['--process-timeout', String(LIMIT_MS / 1000)],
    workers: 2,
  })
  return { cluster, reportFile: folder.path('report.json') }
}

/** Two clients that different workers serve. */
async function connectTwo(cluster: Cluster): Promise<[TestClient, TestClient]> {
  const clients = await Promise.all([cluster.connect(), cluster.connect(), cluster.connect(), cluster.connect()])
  const [first] = clients
  return [first, clients.find(({ workerPid }) => workerPid !== first.workerPid)!]
}

/** Sends a message that makes nobody stuck, and waits for its echo. */
async function talk(client: TestClient, text: string): Promise<void> {
  client.send(text)
  while ((await client.next()) !== text);
}

const blocked = { msg: 'the event loop is blocked' }

describe('a handler that is stuck', () => {
  it('is logged with where, and its worker replaced; everybody else goes on', async () => {
    const { cluster, reportFile } = await start()
    const [ann, ben] = await connectTwo(cluster)
    const isBlocked = cluster.workers.next(blocked)
    const isKilled = cluster.workers.next({ signal: 'SIGKILL' })
    const isReplaced = cluster.workers.next({ msg: 'ready' })
    const isLinked = cluster.gateways[0]!.next({ msg: 'worker linked', workers: 2 })
    ann.send('loop')

    const line = await isBlocked
    const { stack } = line.err as { stack: string }
    expect(line).toMatchObject({
      clientId: ann.clientId,
      level: 'error',
      pid: ann.workerPid,
      process: 'BusinessWorker',
    })
    expect(stack).toMatch(/at .*\bspin /)
    expect(stack).toContain(lineOf('order.waits += 1'))
    expect(stack).toMatch(/at .*\bonMessage /)
    expect(stack).toContain(lineOf('ways[message]'))
    await talk(ben, 'meanwhile')

    expect(await isKilled).toMatchObject({ exitedPid: ann.workerPid })
    expect(JSON.parse(readFileSync(reportFile, 'utf8'))).toEqual({
      blockedMs: line.blockedMs,
      clientId: ann.clientId,
      stack,
    })
    await talk(ann, 'afterwards')
    await talk(ben, 'afterwards')
    expect((await isReplaced).index).toBe(line.index)
    await isLinked
  })

  it.each([
    ['in a regular expression', 'regex', '/^(a+)+$/'],
    ['in a wait', 'wait', 'Atomics.wait('],
  ])('%s is found all the same', async (_where, message, code) => {
    const { cluster } = await start()
    const client = await cluster.connect()
    const isBlocked = cluster.workers.next(blocked)
    const isReplaced = cluster.workers.next({ msg: 'ready' })
    client.send(message)
    expect(((await isBlocked).err as { stack: string }).stack).toContain(lineOf(code))
    await isReplaced
    await talk(client, 'afterwards')
  })

  it('outside JavaScript is logged without a stack, and its worker replaced', async () => {
    const { cluster } = await start()
    const client = await cluster.connect()
    const isEnded = cluster.workers.next({ level: 'fatal', msg: /gives no stack/ })
    const isReplaced = cluster.workers.next({ msg: 'ready' })
    client.send('calculation')
    await isEnded
    await isReplaced
    await talk(client, 'afterwards')
  })
})

it('a handler that takes half as long is not mentioned', async () => {
  const { cluster } = await start()
  const client = await cluster.connect()
  await talk(client, 'short')
  await talk(client, 'short')
  expect(cluster.workers.lines.filter(({ level }) => level !== 'info')).toEqual([])
})
