import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { describeWithEtcd, Etcd } from '../../../test/etcd.ts'
import { freePort } from '../../../test/free-port.ts'
import { RegisterServer } from '../src/register-server.ts'
import { announce, eventually, listen } from './listen.ts'
import { keptLog } from './peer.ts'

/** What tells who is online, however it does. */
interface Engine {
  /** The address of a cluster of its own, in which nobody is yet. */
  newCluster(secretKey?: string): Promise<string>
  /** The engine of this address is there again. */
  start(address: string): Promise<void>
  /** The engine of this address is away. */
  stop(address: string): Promise<void>
  remove(): Promise<void>
}

/** How long a gateway may still be listed after its process was killed. */
const GONE_WITHIN_MS = { etcd: 12_000, register: 3_000 }
const A = '10.0.0.1:2900'
const B = '10.0.0.2:2900'
const C = '10.0.0.3:2900'

/** Each cluster has a register of its own. */
async function createRegisters(): Promise<Engine> {
  const servers = new Map<string, RegisterServer>()
  const start = async (address: string, secretKey?: string) => {
    const server = new RegisterServer({ host: '127.0.0.1', port: Number(address.split(':')[1]), secretKey })
    await server.start()
    servers.set(address, server)
  }
  return {
    async newCluster(secretKey) {
      const address = `127.0.0.1:${await freePort()}`
      await start(address, secretKey)
      return address
    },
    start,
    stop: async (address) => servers.get(address)!.stop(),
    async remove() {
      await Promise.all([...servers.values()].map((server) => server.stop()))
    },
  }
}

/** All clusters are on one etcd. */
async function createEtcd(): Promise<Engine> {
  const etcd = await Etcd.start()
  let clusters = 0
  return {
    async newCluster() {
      clusters += 1
      return etcd.address(`cluster-${clusters}`)
    },
    start: () => etcd.start(),
    stop: () => etcd.stop(),
    remove: () => etcd.remove(),
  }
}

describe('the register', () => conforms('register', createRegisters))
describeWithEtcd('etcd', () => conforms('etcd', createEtcd))

function conforms(name: keyof typeof GONE_WITHIN_MS, create: () => Promise<Engine>): void {
  let engine: Engine
  beforeAll(async () => {
    engine = await create()
  })
  afterAll(() => engine.remove())

  it('tells whoever asks who is there, also nobody', async () => {
    const cluster = await engine.newCluster()
    expect(await listen([cluster]).next()).toEqual([])
    announce(A, [cluster])
    announce(B, [cluster])
    await listen([cluster]).until(A, B)
    // as a whole from the first word on: a script that pushes once, and ends, has missed nobody
    expect((await listen([cluster]).next()).toSorted()).toEqual([A, B])
  })

  it('tells who comes and who leaves', async () => {
    const cluster = await engine.newCluster()
    const { next } = listen([cluster])
    expect(await next()).toEqual([])
    const first = announce(A, [cluster])
    expect(await next()).toEqual([A])
    const second = announce(B, [cluster])
    expect((await next()).toSorted()).toEqual([A, B])
    await first.close()
    expect(await next()).toEqual([B])
    await second.close()
    expect(await next()).toEqual([])
  })

  it('tells an address once, and as long as one process of several that announce it is there', async () => {
    const cluster = await engine.newCluster()
    const { next } = listen([cluster])
    expect(await next()).toEqual([])
    const first = announce(A, [cluster])
    expect(await next()).toEqual([A])
    announce(A, [cluster])
    announce(B, [cluster])
    expect((await next()).toSorted()).toEqual([A, B])
    await first.close()
    announce(C, [cluster])
    expect((await next()).toSorted()).toEqual([A, B, C])
  })

  it('misses a process that was killed', { timeout: 20_000 }, async () => {
    const cluster = await engine.newCluster()
    const { until, watcher } = listen([cluster])
    announce(B, [cluster])
    const gateway = run('announce', cluster, A)
    await until(A, B)
    gateway.kill('SIGKILL')
    const killed = performance.now()
    await until(B)
    expect(performance.now() - killed).toBeLessThan(GONE_WITHIN_MS[name])
    expect(watcher.knows(A)).toBe(false)
  })

  it('is one of several: their union is heard, each address once, and one is enough', async () => {
    const [first, second] = [await engine.newCluster(), await engine.newCluster()]
    const { until, watcher } = listen([first, second])
    announce(A, [first])
    await until(A)
    announce(B, [second])
    await until(A, B)
    const both = announce(C, [first, second])
    await until(A, B, C)
    expect([A, B, C].map((address) => watcher.knows(address))).toEqual([true, true, true])
    await both.close()
    await until(A, B)
    const neither = `127.0.0.1:${await freePort()}`
    announce(C, [neither, second])
    await listen([neither, second]).until(B, C)
  })

  it('keeps clusters apart', async () => {
    const [first, second] = [await engine.newCluster(), await engine.newCluster()]
    announce(A, [first])
    announce(B, [second])
    const heard = [listen([first]), listen([second])]
    await Promise.all([heard[0]!.until(A), heard[1]!.until(B)])
    expect(heard.flatMap(({ lists }) => lists)).toEqual([])
  })

  it('tells nothing to who has another secret, nor of a gateway that has', async () => {
    const cluster = await engine.newCluster('the secret')
    const log = keptLog()
    const right = listen([cluster], { log, secretKey: 'the secret' })
    announce(A, [cluster], { secretKey: 'the secret' })
    await right.until(A)
    const wrong = listen([cluster], { secretKey: 'another' })
    await eventually(() => wrong.watcher.problems.some((problem) => /secret key (is wrong|the same)/.test(problem)))
    const stranger = announce(B, [cluster], { secretKey: 'a third' })
    await eventually(() => [...stranger.problems, ...log.lines].some((line) => line.includes('secret')))
    announce(C, [cluster], { secretKey: 'the secret' })
    expect((await right.next()).toSorted()).toEqual([A, C])
    expect(wrong.lists).toEqual([])
    expect([right.watcher.knows(B), wrong.watcher.knows(A)]).toEqual([false, undefined])
  })

  it('may start after everybody else', async () => {
    const cluster = await engine.newCluster()
    await engine.stop(cluster)
    const log = keptLog()
    const announcer = announce(A, [cluster], { log })
    const { until, watcher } = listen([cluster], { log })
    await eventually(() => log.lines.length === 2)
    expect(log.lines.every((line) => line.includes('is away'))).toBe(true)
    for (const problem of [announcer.problems.join(), watcher.problems.join()]) {
      expect(problem).toContain(`${cluster}: `)
      expect(problem).toContain('ECONNREFUSED')
    }
    expect(watcher.knows(A)).toBeUndefined()
    await engine.start(cluster)
    await until(A)
    await eventually(() => log.lines.length === 4)
    expect(log.lines.slice(2).every((line) => line.includes('is back'))).toBe(true)
    expect([...announcer.problems, ...watcher.problems]).toEqual([])
    expect(watcher.knows(A)).toBe(true)
  })

  it('shrinks no list by being away or coming back, and then tells who has left meanwhile', {
    timeout: 20_000,
  }, async () => {
    const cluster = await engine.newCluster()
    const { lists, next, until, watcher } = listen([cluster])
    const gateway = run('announce', cluster, A)
    const leaves = announce(B, [cluster])
    await until(A, B)
    gateway.kill('SIGSTOP') // so that it is the last to notice
    await engine.stop(cluster)
    await eventually(() => watcher.problems.length > 0)
    expect(watcher.knows(A)).toBeUndefined() // its list is kept, but it is no word of now
    await leaves.close()
    await engine.start(cluster)
    announce(C, [cluster])
    await eventually(() => watcher.knows(C) === true)
    gateway.kill('SIGCONT')
    await eventually(() => watcher.knows(A) === true)
    expect((await next()).toSorted()).toEqual([A, B, C])
    expect(lists).toEqual([])
    await until(A, C)
    expect([A, B, C].map((address) => watcher.knows(address))).toEqual([true, false, true])
  })

  it('lets a process end that only listens, there or away, and one that has closed what it opened', async () => {
    const cluster = await engine.newCluster()
    const listener = run('listen', cluster)
    const closer = run('both', cluster, A)
    expect(await end(listener)).toBe(0)
    expect(await end(closer)).toBe(0)
    expect(
      await end(run('listen', `${cluster.startsWith('etcd') ? 'etcd://' : ''}127.0.0.1:${await freePort()}`)),
    ).toBe(0)
    expect(await listen([cluster]).next()).toEqual([])
  })
}

function run(...args: string[]): ChildProcess {
  const fixture = fileURLToPath(new URL('fixtures/take-part.mjs', import.meta.url))
  const child = spawn(process.execPath, [fixture, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child
}

async function end(child: ChildProcess): Promise<unknown> {
  return child.exitCode ?? (await once(child, 'exit'))[0]
}
