import { once } from 'node:events'
import { createServer } from 'node:net'
import { announceGateway } from '@gatewayworker/register'
import { describe, expect, onTestFinished, test } from 'vitest'
import { linkWorker } from '../../gateway/test/support/raw-peer.ts'
import { RecordedLog } from '../../gateway/test/support/recorded-log.ts'
import { startGateway } from '../../gateway/test/support/start-gateway.ts'
import { GatewayClient, GatewayUnavailableError } from '../src/index.ts'
import { announceDeadGateway, startCluster, startRegister, whenListed } from './start-cluster.ts'

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'it was no error',
    (error) => error,
  )
}

function pushTo(registerAddress: string | string[], options: object = {}): GatewayClient {
  const push = new GatewayClient({ registerAddress, deadlineMs: 1_000, ...options })
  onTestFinished(() => push.close())
  return push
}

describe('a gateway that is listed and cannot be reached', () => {
  test('makes a question reject with its address, the reason, and what the others said', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const dead = await announceDeadGateway(cluster.registerAddress)
    await whenListed(cluster.registerAddress, 2)
    const error = (await errorOf(cluster.push({ deadlineMs: 1_000 }).getAllClientIdList())) as GatewayUnavailableError
    expect(error).toBeInstanceOf(GatewayUnavailableError)
    expect(error).toMatchObject({ code: 'GATEWAY_UNAVAILABLE', missing: [dead], partial: [client.clientId] })
    expect(error.errors.get(dead)).toMatchObject({
      code: 'LINK_CLOSED',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    expect(error.message).toContain(dead)
  })

  test('makes a send reject, which reaches the others all the same', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const dead = await announceDeadGateway(cluster.registerAddress)
    await whenListed(cluster.registerAddress, 2)
    const push = cluster.push({ deadlineMs: 1_000 })
    expect(await errorOf(push.sendToAll('m'))).toMatchObject({ code: 'GATEWAY_UNAVAILABLE', missing: [dead] })
    expect(await client.messages.next()).toBe('m')
    expect(await push.sendToAll('m', null, null, { receipt: true })).toEqual({
      delivered: 1,
      slow: 0,
      unanswered: [dead],
    })
    // What concerns another gateway's client does not need it.
    await push.sendToClient(client.clientId, 'm')
    expect(await push.isOnline(client.clientId)).toBe(true)
  })

  test('is waited for once, not by every call', async () => {
    const cluster = await startCluster()
    await announceDeadGateway(cluster.registerAddress)
    await whenListed(cluster.registerAddress, 2)
    const push = cluster.push({ deadlineMs: 1_000 })
    await errorOf(push.getAllClientIdCount())
    const begin = performance.now()
    for (let at = 0; at < 5; at += 1) expect(await errorOf(push.getAllClientIdCount())).toMatchObject({ partial: 0 })
    expect(performance.now() - begin).toBeLessThan(300)
  })

  test('and never says hello is missing too', async () => {
    const register = await startRegister()
    const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    onTestFinished(() => void mute.close())
    const { port } = mute.address() as { port: number }
    const announcer = announceGateway(`127.0.0.1:${port}`, { registerAddresses: [register.address] })
    onTestFinished(() => announcer.close())
    await whenListed(register.address, 1)
    const error = (await errorOf(pushTo(register.address).getAllClientIdCount())) as GatewayUnavailableError
    expect(error.errors.get(`127.0.0.1:${port}`)).toMatchObject({ code: 'HELLO_TIMEOUT' })
  })
})

describe('a cluster that is not there', () => {
  /** How long something took, in milliseconds. */
  const timeOf = async (call: () => Promise<unknown>) => {
    const begin = performance.now()
    await call()
    return performance.now() - begin
  }
  const REFUSED = '127.0.0.1:1'

  test('no register listens: NO_REGISTER at once', async () => {
    const push = pushTo(REFUSED, { deadlineMs: 20_000 })
    for (let calls = 0; calls < 3; calls += 1) {
      const ms = await timeOf(async () => {
        const error = { code: 'NO_REGISTER', message: expect.stringContaining(`no register listens at ${REFUSED}`) }
        expect(await errorOf(push.sendToAll('m'))).toMatchObject(error)
      })
      expect(ms).toBeLessThan(10_000)
    }
  })

  test('no register listens, and is waited for without a circuit breaker: NO_REGISTER at the deadline, and not later', async () => {
    const push = pushTo(REFUSED, { retryAfterMs: 0 })
    for (let calls = 0; calls < 2; calls += 1) {
      expect(
        await timeOf(async () => expect(await errorOf(push.sendToAll('m'))).toMatchObject({ code: 'NO_REGISTER' })),
      ).toBeGreaterThan(990)
    }
  })

  test('one register does not listen and another does not answer: it is waited for', async () => {
    const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    onTestFinished(() => void mute.close())
    const { port } = mute.address() as { port: number }
    const push = pushTo([REFUSED, `127.0.0.1:${port}`])
    expect(
      await timeOf(async () => expect(await errorOf(push.sendToAll('m'))).toMatchObject({ code: 'NO_REGISTER' })),
    ).toBeGreaterThan(990)
  })

  test('a register that begins to listen is found by the next call', async () => {
    const register = await startRegister()
    const port = Number(register.address.split(':')[1])
    await register.stop()
    const push = pushTo(register.address, { deadlineMs: 20_000 })
    expect(await errorOf(push.sendToAll('m'))).toMatchObject({ code: 'NO_REGISTER' })
    await startRegister('', port)
    await startGateway({ registerAddresses: [register.address] })
    await expect.poll(() => push.getAllClientIdCount().catch(({ code }) => code), { timeout: 5_000 }).toBe(0)
  })

  test('no gateway: NO_GATEWAY, and for a while at once; then it is waited for again', async () => {
    const register = await startRegister()
    const push = pushTo(register.address, { retryAfterMs: 500 })
    const ask = async () => expect(await errorOf(push.getAllUidList())).toMatchObject({ code: 'NO_GATEWAY' })
    expect(await timeOf(() => Promise.all([ask(), ask()]))).toBeGreaterThan(990)
    let atOnce = 0
    while ((await timeOf(ask)) < 500) {
      atOnce += 1
      await new Promise(setImmediate)
    }
    expect(atOnce).toBeGreaterThan(0)
  })

  test('what waits for a gateway is bounded, awaited or not', async () => {
    const register = await startRegister()
    const push = pushTo(register.address, { deadlineMs: 20_000 })
    const body = 'x'.repeat(100_000)
    const rejected: string[] = []
    const all: Promise<unknown>[] = []
    for (let at = 0; at < 300; at += 1) {
      all.push(push.sendToAll(body).catch(({ code }) => rejected.push(code)))
    }
    await new Promise(setImmediate)
    expect(rejected.length).toBeGreaterThan(190)
    await push.close()
    await Promise.all(all)
    expect(rejected).toHaveLength(300)
  })

  test.each(['wrong', ''])(
    'the secret %j gets nothing out of the register, and is not found out at the deadline',
    async (secretKey) => {
      const cluster = await startCluster({ secretKey: 'right' })
      const begin = performance.now()
      const push = cluster.push({ deadlineMs: 20_000, secretKey })
      for (let calls = 0; calls < 2; calls += 1) {
        expect(await errorOf(push.getAllClientIdCount())).toMatchObject({
          advice: expect.stringContaining('--secret-key'),
          code: 'WRONG_SECRET',
        })
      }
      expect(performance.now() - begin).toBeLessThan(5_000)
      push.secretKey = 'right'
      expect(await push.getAllClientIdCount()).toBe(0)
    },
  )

  test('a wrong secret at the gateway alone is said so, and not at the deadline', async () => {
    const begin = performance.now()
    const register = await startRegister()
    const gateway = await startGateway({ registerAddresses: ['127.0.0.1:1'], secretKey: 'right' })
    const announcer = announceGateway(gateway.lanAddress, { registerAddresses: [register.address] })
    onTestFinished(() => announcer.close())
    await whenListed(register.address, 1)
    const push = pushTo(register.address, { deadlineMs: 20_000 })
    for (const call of [() => push.sendToAll('m'), () => push.getAllUidList(), () => push.getAllUidList()]) {
      const error = (await errorOf(call())) as GatewayUnavailableError
      expect(error.errors.get(gateway.lanAddress)).toMatchObject({ code: 'WRONG_SECRET' })
      expect(error.message).toContain('secret')
    }
    expect(performance.now() - begin).toBeLessThan(5_000)
  })
})

describe('a gateway that comes back', () => {
  test('is found again, and a call meanwhile waits for it', async () => {
    const register = await startRegister()
    const first = await startGateway({ registerAddresses: [register.address] })
    await whenListed(register.address, 1)
    const push = pushTo(register.address, { deadlineMs: 5_000 })
    expect(await push.getAllClientIdCount()).toBe(0)
    const lanPort = Number(first.lanAddress.split(':')[1])
    await first.stop()
    await whenListed(register.address, 0)
    const count = push.getAllClientIdCount()
    await startGateway({ lanPort, registerAddresses: [register.address] })
    expect(await count).toBe(0)
  })

  test('keeps its links while the register is away', async () => {
    const register = await startRegister()
    const gateway = await startGateway({ registerAddresses: [register.address] })
    await linkWorker(gateway)
    await whenListed(register.address, 1)
    const push = pushTo(register.address)
    expect(await push.getAllClientIdCount()).toBe(0)
    await register.stop()
    expect(await push.getAllClientIdCount()).toBe(0)
  })
})

test('of several registers those that are there are enough, and gateways of all are found', async () => {
  const [one, other] = [await startRegister(), await startRegister()]
  const gateways = [
    await startGateway({ registerAddresses: [one.address] }),
    await startGateway({ registerAddresses: [one.address, other.address] }),
  ]
  await Promise.all([whenListed(one.address, 2), whenListed(other.address, 1)])
  const log = new RecordedLog()
  const push = pushTo(['127.0.0.1:1', one.address, other.address], { deadlineMs: 2_000, log })
  await push.sendToAll('m')
  await Promise.all(gateways.map(({ lanAddress }) => expect.poll(() => linked(log)).toContain(lanAddress)))
})

function linked(log: RecordedLog): string[] {
  return log.of('linked to a gateway').map(({ details }) => details.gateway)
}

describe('a closed client', () => {
  test('makes new links for the next call', async () => {
    const cluster = await startCluster()
    const push = cluster.push()
    expect(await push.getAllClientIdCount()).toBe(0)
    void push.close()
    expect(await push.getAllClientIdCount()).toBe(0)
  })

  test('has sent what was sent before', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await push.isOnline(client.clientId)
    void push.sendToClient(client.clientId, 'm')
    void push.close()
    expect(await client.messages.next()).toBe('m')
  })

  test('has ended when what was sent is written', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    const push = cluster.push()
    await push.isOnline(client.clientId)
    for (let at = 0; at < 9; at += 1) void push.sendToClient(client.clientId, 'x'.repeat(100_000))
    await push.close()
    await push.close()
    expect(await client.messages.take(9)).toHaveLength(9)
  })

  test('has sent what was sent before, also what waited for room', async () => {
    const cluster = await startCluster()
    const push = cluster.push()
    expect(await push.getAllClientIdCount()).toBe(0)
    const body = 'x'.repeat(1_000_000)
    // To nobody: all that counts is that the gateway got it.
    const calls = Array.from({ length: 19 }, () => push.sendToGroup('nobody', body))
    const last = push.joinGroup((await cluster.connect()).clientId, 'g')
    const closed = push.close()
    await Promise.all([...calls, last, closed])
    await expect.poll(() => cluster.push().getClientIdCountByGroup('g')).toBe(1)
  })

  test('rejects the calls that wait for a register', async () => {
    const push = pushTo('127.0.0.1:1', { deadlineMs: 60_000, retryAfterMs: 0 })
    const sent = errorOf(push.sendToAll('m'))
    void push.close()
    expect(await sent).toMatchObject({ code: 'CLIENT_CLOSED' })
  })

  test('rejects the calls that wait for a gateway', async () => {
    const register = await startRegister()
    const dead = await announceDeadGateway(register.address)
    await whenListed(register.address, 1)
    const log = new RecordedLog()
    const push = pushTo(register.address, { deadlineMs: 60_000, log })
    const calls = [errorOf(push.sendToAll('m')), errorOf(push.getAllClientIdCount())]
    await log.next('no link to a gateway')
    void push.close()
    for (const call of calls) {
      const error = (await call) as GatewayUnavailableError
      expect(error).toMatchObject({ code: 'GATEWAY_UNAVAILABLE', missing: [dead] })
      expect(error.errors.get(dead)).toMatchObject({ code: 'CLIENT_CLOSED' })
    }
  })

  test('is not connected by reading its deadline', () => {
    const before = process.getActiveResourcesInfo()
    expect(new GatewayClient({ deadlineMs: 7 }).deadlineMs).toBe(7)
    expect(new GatewayClient().deadlineMs).toBe(5_000)
    expect(process.getActiveResourcesInfo()).toEqual(before)
  })
})
