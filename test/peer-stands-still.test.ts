import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fixture, startCluster } from './cluster.ts'
import { within } from './deadline.ts'
import { Program } from './program.ts'
import type { TestClient } from './test-client.ts'

const MB = 1_000_000

/** Keeps so many messages of a client under way until `count` have come back; returns their numbers in the order in which they came. */
async function exchange(client: TestClient, count: number, message: object, depth = 16): Promise<number[]> {
  const numbers: number[] = []
  let sent = 0
  const send = () => client.send({ ...message, number: sent++ })
  while (sent < Math.min(depth, count)) send()
  while (numbers.length < count) {
    numbers.push((await client.nextJson()).number)
    if (sent < count) send()
  }
  return numbers
}

const upTo = (count: number) => Array.from({ length: count }, (_, number) => number)

/** Stops a process until the test is over, or what this returns is called. */
function standStill(pid: number): () => void {
  process.kill(pid, 'SIGSTOP')
  const goOn = () => {
    process.kill(pid, 'SIGCONT')
  }
  onTestFinished(goOn)
  return goOn
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024
}

describe.runIf(process.platform === 'linux')('while a process stands still', () => {
  it.each([true, false])(
    'and it is a gateway, a worker (that waits for its pushes: %s) serves the clients of the others',
    async (wait) => {
      const cluster = await startCluster({
        events: 'broadcast.ts',
        gatewayArgs: ['--message-rate', '0', '--send-to-client-buffer-size', '100000000'],
        gateways: 2,
        workerArgs: ['--send-to-gateway-buffer-size', '2000000'],
      })
      const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
      const message = { body: 'x'.repeat(8_000), to: 'all', wait }
      expect(await exchange(ann, 100, message)).toEqual(upTo(100))
      const worker = cluster.workers.child().pid
      const before = residentBytes(worker)
      const goOn = standStill(cluster.gateways[1]!.child().pid)
      // Twice what kernel and worker hold for a gateway.
      const count = 3_000
      expect(await exchange(ann, count, message)).toEqual(upTo(count))
      expect(residentBytes(worker) - before).toBeLessThan(80 * MB)
      goOn()
      await expect
        .poll(async () => {
          ann.send({ ...message, number: 'last' })
          return ben.waiting > 100
        })
        .toBe(true)
      // What the other gateway was sent comes, in order and once, and then what is sent now.
      let last = -1
      for (let { number } = await skip(ben, 100); number !== 'last'; { number } = await ben.nextJson()) {
        expect(number).toBeGreaterThan(last)
        last = number
      }
      expect(last).toBeGreaterThan(100)
    },
  )

  it('and it is a worker, the clients of the others are served, and its own when it goes on', async () => {
    const cluster = await startCluster({
      events: 'broadcast.ts',
      gatewayArgs: ['--message-rate', '0', '--send-to-worker-buffer-size', '1000000'],
      workers: 2,
    })
    const [ann, ben] = [await cluster.connect(), await cluster.connect()]
    expect(ann.workerPid).not.toBe(ben.workerPid)
    const { pid } = cluster.gateways[0]!.child()
    const before = residentBytes(pid)
    const goOn = standStill(ben.workerPid)
    const message = { body: 'x'.repeat(200), to: 'me', wait: true }
    const benCount = 20_000
    const forBen = exchange(ben, benCount, message, benCount)
    expect(await exchange(ann, 5_000, message)).toEqual(upTo(5_000))
    expect(residentBytes(pid) - before).toBeLessThan(60 * MB)
    goOn()
    expect(await forBen).toEqual(upTo(benCount))
  })

  it('and it is a backend that has asked a lot, the gateway goes on, and holds little for it', async () => {
    const cluster = await startCluster({ events: 'broadcast.ts', gatewayArgs: ['--message-rate', '0'] })
    const ann = await cluster.connect()
    ann.send({ keep: 1 * MB, to: 'me' })
    await ann.next()
    const { pid } = cluster.gateways[0]!.child()
    const before = residentBytes(pid)
    const env = { QUESTIONS: '1000', REGISTER_ADDRESS: cluster.registerAddress }
    const backend = new Program('test/fixtures/greedy-backend.mjs', [], env)
    onTestFinished(() => backend.killAll())
    await backend.line({ msg: 'asked' })
    expect(await exchange(ann, 2_000, { to: 'me' })).toEqual(upTo(2_000))
    expect(residentBytes(pid) - before).toBeLessThan(150 * MB)
  })
})

it.runIf(process.platform === 'linux')(
  'what a backend sends first after it was frozen for longer than the link timeout arrives',
  async () => {
    const cluster = await startCluster({ gatewayArgs: ['--link-timeout', '1'] })
    const ann = await cluster.connect()
    await cluster.backend().bindUid(ann.clientId, 'ann')
    const options = { linkTimeoutMs: 1_000, registerAddress: cluster.registerAddress }
    const backend = fork(fixture('remote-backend.mjs'), [JSON.stringify(options)])
    onTestFinished(() => void backend.kill('SIGKILL'))
    const call = async (id: number, method: string, ...args: unknown[]) => {
      backend.send({ args, id, method })
      const [answer] = await within(once(backend, 'message'), `the end of ${method}`)
      return answer
    }
    expect(await call(1, 'sendToUid', 'ann', 'before')).toEqual({ id: 1 })
    expect(await ann.next()).toBe('before')
    const goOn = standStill(backend.pid!)
    await cluster.gateways[0]!.next({ msg: /the link of a backend was ended/ })
    const sent = call(2, 'sendToUid', 'ann', 'after')
    goOn()
    expect(await sent).toEqual({ id: 2 })
    expect(await ann.next()).toBe('after')
  },
)

/** Reads so many messages of a client, and returns the next one. */
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by what it compares
async function skip(client: TestClient, count: number): Promise<any> {
  await client.take(count)
  return client.nextJson()
}
