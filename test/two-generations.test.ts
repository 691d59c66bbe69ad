import { readFileSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Cluster, scripts, startCluster } from './cluster.ts'
import { within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { isRunning } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TestClient } from './test-client.ts'

/** Answers each message with the pid; "hold" when the file `release` is there, and is recorded when it begins. */
const answering = `
import { appendFileSync, existsSync } from 'node:fs'
import { Gateway, Timer } from '@gatewayworker/businessworker'
const file = (name) => new URL(name, import.meta.url)
const record = (what) => appendFileSync(file('record'), what + ' ' + process.pid + '\\n')
export async function onMessage(clientId, message, { redelivered }) {
  if (message === 'hold') {
    record('hold')
    while (!existsSync(file('release'))) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await Gateway.sendToClient(clientId, { pid: process.pid, redelivered })
}
`

/** A job of one process only, of which every begin and end is recorded. */
const timer = `
export function onWorkerStart(worker) {
  if (worker.id !== 0) return
  Timer.add(0.01, async () => {
    record('begin')
    await new Promise((resolve) => setTimeout(resolve, 3))
    record('end')
  })
}
`

/** A port of one process only, as Workerman's manual has it. */
const port = (number: number) => `
import { createServer } from 'node:http'
let server
export async function onWorkerStart(worker) {
  if (worker.id !== 0) return
  server = createServer((request, response) => response.end(String(process.pid)))
  await new Promise((resolve, reject) => server.once('error', reject).listen(${number}, '127.0.0.1', resolve))
}
export function onWorkerStop() {
  server?.close()
}
`

interface Generations {
  cluster: Cluster
  /** What was recorded, each a word and a pid. */
  recorded(): [what: string, pid: number][]
  /** Lets handlers that are held settle. */
  release(): void
  write(code: string): void
}

async function start(code: string, workers: number, gatewayArgs: string[] = []): Promise<Generations> {
  const folder = temporaryFolder({ 'Events.mjs': code, record: '' })
  const cluster = await startCluster({ events: folder.path('Events.mjs'), gatewayArgs, workers })
  return {
    cluster,
    recorded: () =>
      readFileSync(folder.path('record'), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => [line.split(' ')[0]!, Number(line.split(' ')[1])]),
    release: () => folder.write('release', ''),
    write: (text) => folder.write('Events.mjs', text),
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const held = async () => {
    while (!holds()) await after(5)
  }
  await within(held(), what)
}

async function ask(client: TestClient, message = '?'): Promise<{ pid: number; redelivered: boolean }> {
  client.send(message)
  return client.nextJson()
}

/** Which process answers at a port, on a connection of its own. */
async function whoListens(number: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${number}/`, { headers: { connection: 'close' } })
  return Number(await response.text())
}

describe('a reload of Events that do something in one process only', () => {
  it('never has a timer of worker 0 run in two processes, however long the old one drains', async () => {
    const { cluster, recorded, release } = await start(answering + timer, 2)
    const { pid: old } = cluster.workers.child(0)
    const clients = [await cluster.open(), await cluster.open()]
    for (const client of clients) client.send('hold')
    await until(
      'both workers to have a handler that runs',
      () => recorded().filter(([what]) => what === 'hold').length === 2,
    )
    await until('the timer to run', () => recorded().filter(([what]) => what === 'end').length > 2)
    const reloaded = cluster.workers.line({ msg: 'reloaded' })
    cluster.workers.kill('SIGUSR1')
    const { startedPid: next } = await cluster.workers.line({ msg: 'replaced', index: 0 })
    const ends = (pid: unknown) => recorded().filter(([what, by]) => what === 'end' && by === pid).length
    await until('the timer to run in the new process', () => ends(next) > 5)
    expect(isRunning(old)).toBe(true)
    release()
    await reloaded
    expect((await Promise.all(clients.map((client) => client.nextJson()))).map(({ pid }) => pid)).toContain(old)

    const calls = recorded().filter(([what]) => what !== 'hold')
    // None of the old process once the new one has begun, and none of the old one's was still running then.
    const handedOver = calls.findIndex(([, pid]) => pid === next)
    const [before, since] = [calls.slice(0, handedOver), calls.slice(handedOver)]
    expect(new Set(before.map(([, pid]) => pid))).toEqual(new Set([old]))
    expect(new Set(since.map(([, pid]) => pid))).toEqual(new Set([next]))
    const count = (what: string) => before.filter(([did]) => did === what).length
    expect(count('end')).toBe(count('begin'))
  })

  it.each([1, 2])('hands a port over between processes of %i', async (workers) => {
    const number = await freePort()
    const { cluster } = await start(answering + port(number), workers)
    const client = await cluster.open()
    const before = await whoListens(number)
    expect(before).toBe(cluster.workers.child(0).pid)
    cluster.workers.kill('SIGUSR1')
    await cluster.workers.line({ msg: 'reloaded', replaced: workers })
    const now = await whoListens(number)
    expect(now).toBe(cluster.workers.child(0).pid)
    expect(now).not.toBe(before)
    expect((await ask(client)).redelivered).toBe(false)
  })

  it('lets clients wait for the only worker, however long its handlers take, and closes none', async () => {
    const number = await freePort()
    const { cluster, recorded, release } = await start(answering + port(number), 1, ['--no-worker-timeout', '0.5'])
    const { pid: old } = cluster.workers.child(0)
    const [slow, other] = [await cluster.open(), await cluster.open()]
    expect(await ask(other)).toMatchObject({ pid: old })
    slow.send('hold')
    await until('the handler to run', () => recorded().length > 0)
    cluster.workers.kill('SIGUSR1')
    await cluster.gateways[0]!.line({ msg: 'worker leaves' })
    other.send('waits')
    // Of another cluster, whose gateway has no worker: it is closed later than `other` would be.
    const lonely = cluster.run(scripts.gateway, [
      ...['--listen', 'websocket://127.0.0.1:0', '--start-port', '0', '--no-worker-timeout', '1'],
      ...['--register-address', '127.0.0.1:1'],
    ])
    await lonely.ready()
    const clock = await TestClient.open(String(lonely.child().listen).replace('websocket:', 'ws:'))
    expect(await clock.closed).toMatchObject({ code: 1013 })
    expect([slow.waiting, other.waiting, await whoListens(number)]).toEqual([0, 0, old])
    const ready = cluster.workers.next({ index: 0, msg: 'ready' })
    release()
    expect(await slow.nextJson()).toEqual({ pid: old, redelivered: false })
    const { pid: next } = await ready
    expect(await other.nextJson()).toEqual({ pid: next, redelivered: false })
    expect(await whoListens(number)).toBe(next)
  })

  it('gives port and clients back to the old process when the new onWorkerStart fails', async () => {
    const number = await freePort()
    const { cluster, write } = await start(answering + port(number), 1)
    const { pid: old } = cluster.workers.child(0)
    const client = await cluster.open()
    write(
      `${answering}export function onWorkerStart() { throw new Error('no database') }\nexport function onWorkerStop() {}`,
    )
    cluster.workers.kill('SIGUSR1')
    expect((await cluster.workers.line({ level: 'error' })).msg).toContain('no database')
    expect(await whoListens(number)).toBe(old)
    expect(await ask(client)).toEqual({ pid: old, redelivered: false })
    write(answering + port(number))
    cluster.workers.kill('SIGUSR1')
    await cluster.workers.line({ msg: 'reloaded' })
    expect((await ask(client)).pid).toBe(await whoListens(number))
  })
})
