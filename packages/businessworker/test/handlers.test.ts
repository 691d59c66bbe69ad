import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { type Context, Gateway, type HandshakeRequest } from '../src/index.ts'
import { type Deferred, defer, linkToRawGateway } from './support.ts'

/** A handler whose calls a test lets go on one by one. */
class Gate {
  readonly calls = new Inbox<{ done: Deferred; message: string }>()

  readonly onMessage = (_clientId: string, message: string | Buffer): Promise<void> => {
    const done = defer()
    this.calls.push({ done, message: String(message) })
    return done.promise
  }
}

type Settle = (value?: unknown) => void

function breakDown(): never {
  throw new Error('broken')
}

/** What `await` takes for a promise, as some libraries return it. */
function thenable(then: (done: Settle, fail: Settle) => unknown): Promise<void> {
  return { then } as unknown as Promise<void>
}

describe('events of one client', () => {
  test('come as what the client did, each with what is known of it', async () => {
    const seen: unknown[][] = []
    const closed = defer()
    const tell = ({ clientId, gatewayAddress, gatewayPort, remoteAddress, remotePort }: Context) =>
      [clientId, gatewayAddress, gatewayPort, remoteAddress, remotePort].join(' ')
    const { gateway } = await linkToRawGateway({
      onConnect: (id, context) => void seen.push(['onConnect', id, tell(context)]),
      onWebSocketConnect: (id, request, context) => void seen.push(['onWebSocketConnect', id, request, tell(context)]),
      onMessage: (id, message, context) => void seen.push(['onMessage', id, message, tell(context)]),
      onClose: (id, context) => {
        seen.push(['onClose', id, tell(context)])
        closed.resolve()
      },
    })
    gateway.connect(5, {}, { cookie: { a: 'b' }, get: { c: 'd' }, server: { HTTP_USER_AGENT: 'x', REMOTE_PORT: 1 } })
    gateway.message(5, '张')
    gateway.message(5, Buffer.from([0, 255]))
    gateway.close(5)
    await closed.promise
    const id = seen[0]![1] as string
    expect(id).toMatch(/^7f000001[0-9a-f]{4}00000005$/)
    const facts = `${id} 127.0.0.1 7272 10.0.0.1 50000`
    const request: HandshakeRequest = {
      cookie: { a: 'b' },
      get: { c: 'd' },
      headers: { 'user-agent': 'x' },
      server: { HTTP_USER_AGENT: 'x', REMOTE_PORT: 1 },
    }
    expect(seen).toEqual([
      ['onConnect', id, facts],
      ['onWebSocketConnect', id, request, facts],
      ['onMessage', id, '张', facts],
      ['onMessage', id, Buffer.from([0, 255]), facts],
      ['onClose', id, facts],
    ])
  })

  test('are handled one after the other, also when handlers wait', async () => {
    const gate = new Gate()
    const { gateway } = await linkToRawGateway({
      onMessage: gate.onMessage,
      onClose: (id) => gate.onMessage(id, 'close'),
    })
    gateway.connect(1)
    for (const text of ['a', 'b', 'c']) gateway.message(1, text)
    gateway.close(1)
    for (const expected of ['a', 'b', 'c', 'close']) {
      const { done, message } = await gate.calls.next()
      expect(message).toBe(expected)
      await new Promise(setImmediate)
      expect(gate.calls.size).toBe(0)
      done.resolve()
    }
  })

  test('stay in order where some handlers wait and others do not', async () => {
    const seen: string[] = []
    const closed = defer()
    const { gateway } = await linkToRawGateway({
      onMessage: (_id, message) => {
        if (Number(message) % 3 !== 0) return void seen.push(String(message))
        return new Promise(setImmediate).then(() => void seen.push(String(message)))
      },
      onClose: () => closed.resolve(),
    })
    gateway.connect(1)
    const numbers = Array.from({ length: 50 }, (_, at) => String(at))
    for (const number of numbers) gateway.message(1, number)
    gateway.close(1)
    await closed.promise
    expect(seen).toEqual(numbers)
  })
})

test('a client that waits does not keep another one waiting', async () => {
  const gate = new Gate()
  const { gateway } = await linkToRawGateway({ onMessage: gate.onMessage })
  gateway.connect(1)
  gateway.connect(2)
  gateway.message(1, 'first')
  gateway.message(2, 'second')
  expect((await gate.calls.take(2)).map(({ message }) => message)).toEqual(['first', 'second'])
})

describe('a handler that throws', () => {
  test.each([
    [
      'at once',
      () => {
        throw new Error('broken')
      },
    ],
    ['later', () => Promise.reject(new Error('broken'))],
    ['in a thenable itself', () => thenable(breakDown)],
    [
      'in a thenable that settles twice',
      () => thenable((_done, fail) => [fail(new Error('broken')), fail(new Error('twice'))]),
    ],
  ])('%s is logged with its event and client, and the worker goes on', async (_when, fail) => {
    const { gateway, log } = await linkToRawGateway({
      onMessage: (_id, message) => (message === 'fail' ? fail() : Gateway.sendToCurrentClient('handled')),
    })
    gateway.connect(1)
    gateway.message(1, 'fail')
    gateway.message(1, 'go on')
    expect((await gateway.frames.next()).command).toBe(Command.SEND_TO_ONE)
    const { details, level } = log.of('a handler threw')[0]!
    expect([level, details.event, details.err.message]).toEqual(['error', 'onMessage', 'broken'])
    expect(details.clientId).toMatch(/00000001$/)
    expect(log.of('a handler threw')).toHaveLength(1)
  })

  test.each([
    [
      'at once',
      () => {
        throw new Error('not you')
      },
    ],
    ['later', () => Promise.reject(new Error('not you'))],
  ])(
    'in onWebSocketConnect, %s, refuses the client: no message of it is handled, but its onClose is',
    async (_when, fail) => {
      const seen: string[] = []
      const closed = defer()
      const { gateway } = await linkToRawGateway({
        onWebSocketConnect: () => fail(),
        onMessage: (_id, message) => void seen.push(String(message)),
        onClose: () => closed.resolve(),
      })
      gateway.connect(1)
      gateway.message(1, 'unheard')
      expect(await gateway.frames.next()).toMatchObject({ command: Command.REFUSE_CLIENT, connectionId: 1 })
      gateway.message(1, 'unheard too')
      gateway.close(1)
      await closed.promise
      expect(seen).toEqual([])
    },
  )
})

test.each(['closeCurrentClient', 'destroyCurrentClient'] as const)(
  '%s in onWebSocketConnect: no message of the client is handled, but its onClose is',
  async (method) => {
    const seen: string[] = []
    const closed = defer()
    const { gateway } = await linkToRawGateway({
      onWebSocketConnect: async () => {
        await Promise.resolve()
        await Gateway[method]('bye')
      },
      onMessage: (_id, message) => void seen.push(String(message)),
      onClose: () => closed.resolve(),
    })
    gateway.connect(1)
    gateway.message(1, 'unheard')
    const command = method === 'closeCurrentClient' ? Command.KICK : Command.DESTROY
    expect(await gateway.frames.next()).toMatchObject({ command, connectionId: 1 })
    gateway.close(1)
    await closed.promise
    expect(seen).toEqual([])
  },
)

test('the current client is known below awaits, timers and other functions, each handler its own', async () => {
  const both = [defer(), defer()]
  const { gateway } = await linkToRawGateway({
    onMessage: async (_id, message) => {
      await both[Number(message)]!.promise
      await new Promise((resolve) => setTimeout(resolve))
      await Gateway.sendToCurrentClient(`to ${message}`)
    },
  })
  for (const id of [0, 1]) {
    gateway.connect(id + 10)
    gateway.message(id + 10, String(id))
  }
  both[1]!.resolve()
  expect(await gateway.frames.next()).toMatchObject({ body: Buffer.from('to 1'), connectionId: 11 })
  both[0]!.resolve()
  expect(await gateway.frames.next()).toMatchObject({ body: Buffer.from('to 0'), connectionId: 10 })
})

describe('the session', () => {
  test('that a handler leaves alone, or only looks at, is not sent', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: async (_id, message, { session }) => {
        if (message === 'look') await Gateway.sendToCurrentClient(JSON.stringify(session))
        if (message === 'change and back') {
          session.a = { b: 2 }
          session.a = { b: 1 }
        }
      },
      onClose: (id) => Gateway.sendToClient(id, 'end'),
    })
    gateway.connect(1, { a: { b: 1 }, n: Number.NaN })
    for (const text of ['leave alone', 'look', 'change and back']) gateway.message(1, text)
    gateway.close(1)
    const frames = await gateway.frames.take(2)
    expect(frames.map(({ body }) => String(body))).toEqual(['{"a":{"b":1},"n":null}', 'end'])
  })

  test('is sent as a patch of the keys that changed, once the handler has settled', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: async (_id, _message, context) => {
        context.session.a = 2
        await Gateway.sendToCurrentClient('first')
        delete context.session.b
      },
    })
    gateway.connect(1, { a: 1, b: 1, c: 1 })
    gateway.message(1, 'm')
    const [message, patch] = await gateway.frames.take(2)
    expect(String(message!.body)).toBe('first')
    expect(patch).toMatchObject({ command: Command.PATCH_SESSION, connectionId: 1, flag: 32 })
    expect(msgpack.decode(patch!.ext)).toEqual({ set: { a: 2 }, unset: ['b'] })
  })

  test('is the one before to the next handler, confirmed or not', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: async (_id, _message, { session }) => {
        session.count = Number(session.count ?? 0) + 1
        await Gateway.sendToCurrentClient(String(session.count))
      },
    })
    gateway.connect(1)
    for (let at = 0; at < 3; at += 1) gateway.message(1, 'm')
    const texts: string[] = []
    while (texts.length < 3)
      texts.push(String((await gateway.frames.find(({ command }) => command === Command.SEND_TO_ONE)).body))
    expect(texts).toEqual(['1', '2', '3'])
  })

  test('that a handler that throws had changed is stored all the same', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: (_id, _message, { session }) => {
        session.a = 1
        throw new Error('too late')
      },
    })
    gateway.connect(1)
    gateway.message(1, 'm')
    expect(msgpack.decode((await gateway.frames.next()).ext)).toEqual({ set: { a: 1 }, unset: [] })
  })

  test('whose bytes a handler changes in place is stored', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: (_id, _message, { session }) => {
        const { map } = session as { map: Buffer }
        map[1] = 9
      },
    })
    gateway.connect(1, { map: Buffer.from([1, 2, 3]) })
    gateway.message(1, 'm')
    expect(msgpack.decode((await gateway.frames.next()).ext)).toEqual({
      set: { map: Buffer.from([1, 9, 3]) },
      unset: [],
    })
  })

  test('with a value that cannot be stored is logged with the place of the value, and stays what it was', async () => {
    const { gateway, log } = await linkToRawGateway({
      onMessage: async (_id, message, { session }) => {
        if (message === 'bad') Object.assign(session, { a: 2, cart: { items: [0, new Float32Array(1)] } })
        else await Gateway.sendToCurrentClient(JSON.stringify(session))
      },
    })
    gateway.connect(1, { a: 1 })
    gateway.message(1, 'bad')
    const { details, level } = await log.next('session not stored')
    expect(level).toBe('error')
    expect(details).toMatchObject({ clientId: expect.any(String), event: 'onMessage', err: { code: 'BAD_SESSION' } })
    expect(details.err.message).toMatch(/^session\.cart\.items\[1\] is a Float32Array; /)
    gateway.message(1, 'show')
    const shown = await gateway.frames.next()
    expect([shown.command, String(shown.body)]).toEqual([Command.SEND_TO_ONE, '{"a":1}'])
  })

  test('written with setSession or updateSession is what the gateway has, holes included', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: async (id, _message, context) => {
        // biome-ignore lint/suspicious/noSparseArray: it is what is tested
        await Gateway.updateSession(id, { list: [9, , 7] })
        await Gateway.sendToCurrentClient(JSON.stringify(context.session))
      },
    })
    gateway.connect(1, { list: [1, 2, 3] })
    gateway.message(1, 'm')
    const [update, shown] = await gateway.frames.take(2)
    expect(msgpack.decode(update!.ext)).toEqual({ list: [9, undefined, 7] })
    expect(String(shown!.body)).toBe('{"list":[9,null,7]}')
  })

  test('changed in onClose is not stored any more', async () => {
    const { gateway } = await linkToRawGateway({
      onClose: async (id, { session }) => {
        session.a = 2
        await Gateway.sendToClient(id, `was ${JSON.stringify(session)}`)
      },
    })
    gateway.connect(1, { a: 1 })
    gateway.close(1)
    expect(String((await gateway.frames.next()).body)).toBe('was {"a":2}')
    gateway.connect(2)
    gateway.close(2)
    expect(String((await gateway.frames.next()).body)).toBe('was {"a":2}')
  })

  test('changed elsewhere while a handler updates it keeps that change', async () => {
    const gate = defer()
    const { gateway } = await linkToRawGateway({
      onMessage: async (id, _message, { session }) => {
        session.a = 2
        await Gateway.sendToCurrentClient('begun')
        await gate.promise
        await Gateway.updateSession(id, { b: 2 })
        session.c = 3
      },
      onClose: () => gate.resolve(),
    })
    gateway.connect(1, { a: 1 })
    gateway.message(1, 'm')
    await gateway.frames.next()
    gateway.link.send(Command.SESSION_CHANGED, 1, 0, msgpack.encode({ a: 1, x: 1 }))
    // Another client's end opens the gate behind it.
    gateway.connect(2)
    gateway.close(2)
    const [update, patch] = await gateway.frames.take(2)
    expect(update).toMatchObject({ command: Command.UPDATE_SESSION, flag: 32 })
    expect(msgpack.decode(update!.ext)).toEqual({ b: 2 })
    expect(msgpack.decode(patch!.ext)).toEqual({ set: { a: 2, c: 3 }, unset: [] })
  })
})
