import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Command } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { startGateway } from '../../gateway/test/support/start-gateway.ts'
import { connectClient } from '../../gateway/test/support/test-client.ts'
import { startRegister, whenListed } from '../../gateway-client/test/start-cluster.ts'
import { BusinessWorker, type BusinessWorkerOptions, type Events, Gateway, Timer } from '../src/index.ts'
import { defer, linkToRawGateway, startRawGateway, startWorker } from './support.ts'

/** A register, a gateway and a worker with these handlers, for real clients. */
async function startAll(events: Events, options: Partial<BusinessWorkerOptions> = {}) {
  const register = await startRegister()
  const gateway = await startGateway({ registerAddresses: [register.address] })
  return { gateway, register, ...(await startWorker(register.address, events, options)) }
}

describe('a client that onWebSocketConnect does not want', () => {
  test('is closed with 1008 if it throws, and has an onClose', async () => {
    const closed = defer<string>()
    const { gateway } = await startAll({
      onWebSocketConnect: async (_id, { get }) => {
        if (get.token !== 'right') throw new Error('wrong token')
        await Gateway.sendToCurrentClient('welcome')
      },
      onClose: (id) => closed.resolve(id),
    })
    const wrong = await connectClient(gateway, '/?token=wrong')
    expect(await wrong.closed).toEqual({ code: 1008, reason: 'refused' })
    expect(wrong.messages.size).toBe(0)
    await closed.promise
    expect(await (await connectClient(gateway, '/?token=right')).messages.next()).toBe('welcome')
  })

  test('is closed with 1000 by closeCurrentClient, after its last words', async () => {
    const { gateway } = await startAll({ onWebSocketConnect: () => Gateway.closeCurrentClient('full') })
    const client = await connectClient(gateway)
    expect(await client.messages.next()).toBe('full')
    expect((await client.closed).code).toBe(1000)
  })
})

describe('a session', () => {
  /** What the gateway has when a message of this client was handled by `change`, and what the next handler sees. */
  async function after(change: NonNullable<Events['onMessage']>): Promise<{ next: object; stored: object | null }> {
    const seen = new Inbox<object>()
    const { gateway } = await startAll({
      onConnect: (_id, { session }) => {
        Object.assign(session, { list: [1, 2], map: { a: 1 } })
      },
      onMessage: (id, message, context) => {
        if (message === 'change') return change(id, message, context)
        seen.push(context.session)
      },
    })
    const client = await connectClient(gateway)
    client.send('change')
    client.send('look')
    const next = await seen.next()
    const [id = ''] = await Gateway.getAllClientIdList()
    return { next, stored: await Gateway.getSession(id) }
  }

  const CASES: [what: string, change: NonNullable<Events['onMessage']>, expected: object][] = [
    [
      'changed in place',
      (_id, _m, { session }) => {
        ;(session.map as Record<string, number>).b = 2
      },
      { list: [1, 2], map: { a: 1, b: 2 } },
    ],
    [
      'replaced by assignment',
      (_id, _m, context) => {
        context.session = { other: 1 }
      },
      { other: 1 },
    ],
    ['written by setSession', async (id) => Gateway.setSession(id, { other: 1 }), { other: 1 }],
    [
      'written by updateSession',
      async (id) => Gateway.updateSession(id, { list: [9], map: { b: 2 } }),
      { list: [9, 2], map: { a: 1, b: 2 } },
    ],
    [
      'changed, then updated, then changed',
      async (id, _m, { session }) => {
        session.before = 1
        await Gateway.updateSession(id, { map: { b: 2 } })
        expect(session).toEqual({ before: 1, list: [1, 2], map: { a: 1, b: 2 } })
        session.after = 1
      },
      { after: 1, before: 1, list: [1, 2], map: { a: 1, b: 2 } },
    ],
    [
      'changed, then set, then changed',
      async (id, _m, { session }) => {
        session.before = 1
        await Gateway.setSession(id, { map: { b: 2 } })
        expect(session).toEqual({ map: { b: 2 } })
        session.after = 1
      },
      { after: 1, map: { b: 2 } },
    ],
    [
      'updated before the handler looks',
      async (id, _m, context) => {
        await Gateway.updateSession(id, { map: { b: 2 } })
        expect(context.session).toEqual({ list: [1, 2], map: { a: 1, b: 2 } })
        delete context.session.list
      },
      { map: { a: 1, b: 2 } },
    ],
  ]

  test.each(CASES)('%s is what the next handler sees, and what the gateway has', async (_what, change, expected) => {
    const { next, stored } = await after(change)
    expect(next).toEqual(expected)
    expect(stored).toEqual(expected)
  })
})

describe('starting', () => {
  test('serves nobody before onWorkerStart has settled', async () => {
    const started = defer()
    const seen = new Inbox<string>()
    const register = await startRegister()
    const gateway = await startGateway({ registerAddresses: [register.address] })
    const client = await connectClient(gateway)
    const starting = startWorker(register.address, {
      onWorkerStart: async () => {
        await Gateway.sendToAll(`${await Gateway.getAllClientIdCount()} here`)
        await started.promise
        seen.push('started')
      },
      onConnect: () => seen.push('connect'),
    })
    expect(await client.messages.next()).toBe('1 here')
    await connectClient(gateway)
    expect(seen.size).toBe(0)
    started.resolve()
    await starting
    expect(await seen.take(3)).toEqual(['started', 'connect', 'connect'])
  })

  test('has linked to every gateway when it is through', async () => {
    const register = await startRegister()
    const processes = [await startRawGateway(register.address), await startRawGateway(register.address)]
    await whenListed(register.address, 2)
    await startWorker(register.address, { onConnect: () => {} })
    expect(processes.map(({ links }) => links.size)).toEqual([1, 1])
  })

  test('rejects with what onWorkerStart rejects with, and links to nothing', async () => {
    const register = await startRegister()
    const before = process.listenerCount('unhandledRejection')
    let pushed: Promise<unknown> | undefined
    const worker = new BusinessWorker({
      events: {
        onWorkerStart() {
          pushed = Gateway.sendToAll('too early') // it looks for gateways, and would go on doing so
          return Promise.reject(new Error('no database'))
        },
      },
      registerAddresses: [register.address],
    })
    await expect(worker.start()).rejects.toThrow('no database')
    await expect(pushed).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
    expect(process.listenerCount('unhandledRejection')).toBe(before)
    await worker.stop() // once more does no harm
  })

  test('tells onWorkerStart and onWorkerStop which worker it is', async () => {
    const seen: unknown[] = []
    const tell = (worker: BusinessWorker) => void seen.push([worker.name, worker.id])
    const register = await startRegister()
    const events = { onWorkerStart: tell, onWorkerStop: tell }
    const { worker } = await startWorker(register.address, events, { id: 3, name: 'chat' })
    await worker.stop()
    expect(seen).toEqual([
      ['chat', 3],
      ['chat', 3],
    ])
  })
})

describe('stopping', () => {
  test('waits for the handlers that run, and for what waits behind them; then onWorkerStop', async () => {
    const gate = defer()
    const seen: string[] = []
    const begun = defer()
    const { gateway, worker } = await startAll({
      onMessage: async (_id, message) => {
        begun.resolve()
        await gate.promise
        seen.push(String(message))
      },
      onWorkerStop: () => void seen.push('stop'),
    })
    const client = await connectClient(gateway)
    for (const text of ['a', 'b', 'c']) client.send(text)
    await begun.promise
    const stopped = worker.stop()
    gate.resolve()
    await stopped
    expect(seen).toEqual(['a', 'b', 'c', 'stop'])
  })

  test('answers the questions that the last handlers ask, and sends what they send', async () => {
    const gate = defer()
    const begun = defer()
    const { gateway, log, worker } = await startAll({
      onMessage: async () => {
        begun.resolve()
        await gate.promise
        await Gateway.sendToCurrentClient(`count ${await Gateway.getAllClientIdCount()}`)
      },
      onWorkerStop: async () => Gateway.sendToAll(`still ${await Gateway.getAllClientIdCount()}`),
    })
    const client = await connectClient(gateway)
    client.send('m')
    await begun.promise
    const stopped = worker.stop()
    gate.resolve()
    await stopped
    expect(await client.messages.take(2)).toEqual(['count 1', 'still 1'])
    expect(log.of('did not settle')).toEqual([])
  })

  test('gives a handler that never settles only so long, and says so', async () => {
    const begun = defer()
    const { gateway, log, worker } = await startAll(
      {
        onMessage: () => {
          begun.resolve()
          return new Promise(() => {})
        },
      },
      { stopTimeoutMs: 50 },
    )
    ;(await connectClient(gateway)).send('m')
    await begun.promise
    await worker.stop()
    expect(log.of('did not settle')).toMatchObject([{ details: { handlers: 1, timeoutMs: 50 }, level: 'warn' }])
  })

  test('deletes timers, and survives an onWorkerStop that throws', async () => {
    const { log, worker } = await startAll({
      onWorkerStop: () => {
        throw new Error('broken')
      },
    })
    const id = Timer.add(1_000, () => {})
    await worker.stop()
    expect(Timer.del(id)).toBe(false)
    expect(log.of('a handler threw')).toMatchObject([{ details: { event: 'onWorkerStop' } }])
  })
})

test('a promise that a handler let go of is logged, and the worker lives', async () => {
  const script = fileURLToPath(new URL('fixtures/unhandled-rejection.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 10_000 })
  expect(JSON.parse(stdout)).toEqual({ error: 'let go', message: 'a promise that nobody waited for was rejected' })
})

test('a call that a handler does not wait for is logged when it fails, and the worker lives', async () => {
  const { gateway, log } = await linkToRawGateway({
    onMessage: (_id, message) => {
      void Gateway.sendToUid('', 'no uid')
      return Gateway.sendToCurrentClient(message)
    },
  })
  gateway.connect(1)
  gateway.message(1, 'm')
  expect(await log.next('nobody waits')).toMatchObject({ details: { code: 'BAD_UID' }, level: 'warn' })
  expect(String((await gateway.frames.next()).body)).toBe('m')
})

test('the register may be away: clients that come are served all the same', async () => {
  const { gateway, register } = await startAll({ onMessage: (_id, message) => Gateway.sendToCurrentClient(message) })
  const client = await connectClient(gateway)
  client.send('a')
  expect(await client.messages.next()).toBe('a')
  await register.stop()
  const late = await connectClient(gateway)
  late.send('b')
  expect(await late.messages.next()).toBe('b')
})

test('frames about a client that the worker does not serve are nothing', async () => {
  const { gateway } = await linkToRawGateway({ onMessage: (_id, message) => Gateway.sendToCurrentClient(message) })
  gateway.message(9, 'from nobody')
  gateway.link.send(Command.SESSION_CHANGED, 9)
  gateway.close(9)
  gateway.connect(1)
  gateway.message(1, 'from somebody')
  expect(String((await gateway.frames.next()).body)).toBe('from somebody')
})
