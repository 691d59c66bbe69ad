import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import { LinkListener } from '../src/listen.ts'
import { buildAnswer, buildFrame } from './build-frame.ts'
import {
  DEADLINE_MS,
  dial,
  event,
  FIRST_ANSWER,
  FIRST_QUESTION,
  HELLO,
  linkToPhp,
  ORIGIN,
  SCALAR,
  serve,
  type Told,
} from './scripted-gateway.ts'

describe('a legacy gateway', () => {
  it('is told who we are as our own are, and is recognised by its answer, cut anywhere', async () => {
    const server = await serve()
    const stream = Buffer.concat([FIRST_ANSWER, event({ cmd: 3, connection_id: 5, body: 'hi' })])
    for (let at = 1; at <= stream.length; at += 1) {
      const { dialer, events, instances } = dial(server.port)
      const php = await server.next()
      expect(await php.take(HELLO.length)).toEqual(HELLO)
      expect(await php.frame()).toEqual(FIRST_QUESTION)
      await php.writeCut(stream, at)
      await vi.waitUntil(() => events.length === 2, { interval: 1 })
      expect(instances).toEqual([undefined])
      expect(events).toEqual([
        ['context', 5, {}, ORIGIN],
        ['message', 5, SCALAR, 'hi'],
      ])
      dialer.destroy()
    }
  })

  it.each([
    ['connect', 1, ''],
    ['handshake', 205, 'a:0:{}'],
    ['message', 3, 'hi'],
    ['close', 4, ''],
  ])('is recognised by a %s before its answer, which then answers no question of ours', async (name, cmd, body) => {
    const server = await serve()
    const { events, up } = dial(server.port)
    const php = await server.next()
    await php.take(HELLO.length + FIRST_QUESTION.length)
    php.write(event({ cmd, connection_id: 5, body }))
    const link = await up
    await vi.waitUntil(() => events.length === 2, { interval: 1 })
    expect(events.map(([what]) => what)).toEqual(['context', name])
    const asked = link.ask(Command.GET_CLIENT_COUNT_BY_GROUP, DEADLINE_MS)
    await php.frame()
    php.write(FIRST_ANSWER, buildAnswer('i:42;'))
    expect(await asked).toBe(42)
  })

  it('may say PING first', async () => {
    const server = await serve()
    const { instances, up } = dial(server.port)
    const php = await server.next()
    php.write(buildFrame({ cmd: 201 }), FIRST_ANSWER)
    await up
    expect(instances).toEqual([undefined])
  })

  it('is not told what a worker has handled, nor that it is about to leave: it is not heard any more then', async () => {
    const { events, link, php, settled } = await linkToPhp()
    php.write(event({ cmd: 3, connection_id: 5, body: 'before' }))
    await settled()
    link.send(Command.ACKNOWLEDGE, 0, 0, '', Buffer.from('0000000500000001', 'hex'))
    expect(await link.ask(Command.LEAVE, DEADLINE_MS)).toBe(null)
    php.write(event({ cmd: 3, connection_id: 5, body: 'after' }), event({ cmd: 1, connection_id: 6, body: '' }))
    // The next that PHP hears is what this asks.
    await settled()
    expect(events).toEqual([
      ['context', 5, {}, ORIGIN],
      ['message', 5, SCALAR, 'before'],
    ])
  })

  it('that closes is dialled again', async () => {
    const server = await serve()
    const { downs, instances } = dial(server.port)
    for (let tries = 0; tries < 2; tries += 1) {
      const php = await server.next()
      await php.take(HELLO.length)
      php.socket.end()
      await php.closed
    }
    expect(downs[0]).toMatchObject({ code: 'LINK_CLOSED' })
    expect(instances).toEqual([])
  })

  it.each([
    ['1 byte', 1],
    ['more than 256 MiB', 0x10000001],
    ['4 GiB', 0xffffffff],
  ])('cannot declare an answer of %s', async (_name, length) => {
    const server = await serve()
    const { downs } = dial(server.port)
    const php = await server.next()
    const bytes = buildAnswer('i:0;')
    bytes.writeUInt32BE(length)
    php.write(bytes)
    await php.closed
    expect(downs[0]).toMatchObject({ code: 'FRAME_MALFORMED' })
  })

  it('is not seen in a native one, cut anywhere in its HELLO; what that says later is frames only', async () => {
    const server = await serve()
    const hello = buildFrame({ cmd: 100, body: msgpack.encode({ version: 4, instance: 'native' }) })
    // A command with the number that a serialized int begins with.
    const stream = Buffer.concat([hello, buildFrame({ cmd: 105, connection_id: 5 })])
    for (let at = 1; at <= stream.length; at += 1) {
      const { dialer, events, instances } = dial(server.port)
      const native = await server.next()
      await native.writeCut(stream, at)
      await vi.waitUntil(() => events.length === 1, { interval: 1 })
      expect([instances, events]).toEqual([['native'], [['command 105', 5, 0, '']]])
      dialer.destroy()
    }
  })

  it('is not seen in a real native one, which does not hear the question that came with the hello', async () => {
    const heard: number[] = []
    const listener = new LinkListener({
      host: '127.0.0.1',
      instance: 'native',
      onLink: () => ({
        onFrame: (frame, link) => {
          heard.push(frame.id)
          link.answer(frame.id, frame.command)
        },
      }),
      port: 0,
      secretKey: '',
    })
    const { port } = await listener.listen()
    onTestFinished(() => listener.close())
    const { instances, up } = dial(port)
    const link = await up
    expect(await link.ask(Command.IS_ONLINE, DEADLINE_MS)).toBe(Command.IS_ONLINE)
    expect([instances, heard]).toEqual([['native'], [1]])
  })

  it('may be silent for as long as it likes', async () => {
    const { link } = await linkToPhp({ linkTimeoutMs: 60 })
    const server = await serve()
    const { downs } = dial(server.port, { linkTimeoutMs: 60 })
    const native = await server.next()
    native.say({ cmd: 100, body: msgpack.encode({ version: 4, instance: 'native' }) })
    await native.closed // who is expected to say PING, and came later
    expect(downs[0]).toMatchObject({ code: 'LINK_TIMED_OUT' })
    expect(link.isClosed).toBe(false)
  })
})

describe('events', () => {
  it('come in the native dialect: the client first, its session when it differs', async () => {
    const { events, php, settled } = await linkToPhp()
    const session = Buffer.from('a:2:{s:1:"n";d:1;s:1:"l";a:1:{i:0;s:2:"é";}}')
    php.write(
      event({ cmd: 1, connection_id: 5, client_ip: 0xc0a80107 }),
      event({ cmd: 3, connection_id: 5, ext: session, body: 'text' }),
      event({ cmd: 3, connection_id: 6, ext: session, client_ip: 0 }),
      event({ cmd: 3, connection_id: 5, ext: session, body: 'same' }),
      event({ cmd: 3, connection_id: 5 }),
      event({ cmd: 4, connection_id: 5 }),
    )
    await settled()
    expect(events).toEqual([
      ['context', 5, {}, { ...ORIGIN, remoteAddress: '192.168.1.7' }],
      ['connect', 5, SCALAR, ''],
      ['session', 5, 0, { n: 1, l: ['é'] }],
      ['message', 5, SCALAR, 'text'],
      ['context', 6, { n: 1, l: ['é'] }, { ...ORIGIN, remoteAddress: '0.0.0.0' }],
      ['message', 6, SCALAR, ''],
      ['message', 5, SCALAR, 'same'],
      ['session', 5, 0, {}],
      ['message', 5, SCALAR, ''],
      ['close', 5, SCALAR, ''],
    ])
  })

  it('say binary of what cannot be text', async () => {
    const { events, php, settled } = await linkToPhp()
    const bodies = ['é', '\x00', '\xff', '\xc3', '\xed\xa0\x80']
    php.write(event({ cmd: 3, connection_id: 5, body: 'é' }))
    for (const body of bodies.slice(1)) {
      php.write(event({ cmd: 3, connection_id: 5, body: Buffer.from(body, 'latin1') }))
    }
    await settled()
    expect(events.slice(1).map(([, , flag]) => flag)).toEqual([SCALAR, SCALAR, 5, 5, 5])
    expect(events[3]![3]).toBe('\xff')
  })

  it('have the handshake in plain objects, whatever the request had in it', async () => {
    const { events, php, settled } = await linkToPhp()
    const get = 'a:3:{i:5;s:1:"x";s:1:"l";a:1:{i:0;s:1:"y";}s:9:"__proto__";s:1:"z";}'
    const server = 'a:2:{s:12:"QUERY_STRING";s:0:"";s:11:"REMOTE_PORT";i:50001;}'
    php.write(
      event({
        cmd: 205,
        connection_id: 5,
        flag: 0,
        body: `a:3:{s:3:"get";${get}s:6:"server";${server}s:6:"cookie";a:0:{}}`,
      }),
      event({ cmd: 205, connection_id: 6, flag: 0, body: 'N;' }),
    )
    await settled()
    const [, handshake, , nothing] = events as [Told, Told, Told, Told]
    const value = handshake[2] as Record<string, Record<string, unknown>>
    expect(value).toMatchObject({
      cookie: {},
      get: { 5: 'x', l: ['y'] },
      server: { QUERY_STRING: '', REMOTE_PORT: 50_001 },
    })
    expect(Object.getPrototypeOf(value.get)).toBe(Object.prototype)
    expect(nothing[0]).toBe('handshake')
  })

  it('of a request with names that are no text do not cut off the gateway', async () => {
    const { events, php, settled } = await linkToPhp()
    // GET /?a[%ff]=1 and a cookie of the same kind
    const odd = Buffer.from(
      'a:3:{s:3:"get";a:1:{s:1:"a";a:1:{s:1:"\xff";s:1:"1";}}s:6:"server";a:0:{}s:6:"cookie";a:1:{s:1:"\xfe";a:1:{s:1:"\xff";s:1:"2";}}}',
      'latin1',
    )
    php.write(event({ cmd: 205, connection_id: 5, flag: 0, body: odd }), event({ cmd: 3, connection_id: 6 }))
    await settled()
    expect(events.map(([what, id]) => [what, id])).toEqual([
      ['context', 5],
      ['handshake', 5],
      ['context', 6],
      ['message', 6],
    ])
    expect(events[1]![2]).toMatchObject({ get: { a: { '\ufffd': '1' } } })
  })

  it('of a close is told also of a client that nobody knew, who is then forgotten', async () => {
    const { events, php, settled } = await linkToPhp()
    php.write(event({ cmd: 4, connection_id: 5 }), event({ cmd: 4, connection_id: 5 }))
    await settled()
    expect(events.map(([what]) => what)).toEqual(['context', 'close', 'context', 'close'])
  })

  it('of a connection number that is used again are of another client', async () => {
    const { events, php, settled } = await linkToPhp()
    php.write(
      event({ cmd: 1, connection_id: 5, ext: 'a:1:{s:1:"a";i:1;}' }),
      event({ cmd: 1, connection_id: 5, client_port: 50_002 }),
    )
    await settled()
    expect(events).toEqual([
      ['context', 5, { a: 1 }, ORIGIN],
      ['connect', 5, SCALAR, ''],
      ['context', 5, {}, { ...ORIGIN, remotePort: 50_002 }],
      ['connect', 5, SCALAR, ''],
    ])
  })

  it.each([
    ['cut short', 'a:1:{'],
    ['no array', 'i:5;'],
    ['a reference into an object', 'a:2:{i:0;O:1:"A":1:{s:1:"x";i:1;}i:1;R:9;}'],
    ['too deep', `${'a:1:{i:0;'.repeat(600)}N;${'}'.repeat(600)}`],
  ])('with a session that cannot be read (%s) come with an empty one, and that is logged', async (_name, ext) => {
    const { events, log, php, settled } = await linkToPhp()
    php.write(
      event({ cmd: 1, connection_id: 5, ext: 'a:1:{s:1:"a";i:1;}' }),
      event({ cmd: 3, connection_id: 5, ext }),
      event({ cmd: 3, connection_id: 6, ext }),
    )
    await settled()
    expect(events.filter(([what]) => what === 'context' || what === 'session')).toEqual([
      ['context', 5, { a: 1 }, ORIGIN],
      ['session', 5, 0, {}],
      ['context', 6, {}, ORIGIN],
    ])
    expect(log.lines.map(({ level }) => level)).toEqual(['error', 'error'])
  })

  it('have sessions that our codec can read, also with keys that are no text', async () => {
    const { events, php, settled } = await linkToPhp()
    const ext = Buffer.from('a:2:{s:1:"\xff";i:1;s:1:"m";a:2:{s:1:"\xfe";i:2;i:-9223372036854775808;i:3;}}', 'latin1')
    php.write(event({ cmd: 1, connection_id: 5, ext }))
    await settled()
    expect(events[0]).toEqual(['context', 5, { '\ufffd': 1, m: { '\ufffd': 2, '-9223372036854775808': 3 } }, ORIGIN])
  })

  it('that make no sense end the link', async () => {
    const { closed, php } = await linkToPhp()
    php.write(event({ cmd: 205, connection_id: 5, flag: 0, body: 'a:1:{' }))
    expect(await closed).toMatchObject({ code: 'BAD_VALUE' })
  })

  it('of kinds that we do not know, and PING, are no clients', async () => {
    const { events, php, settled } = await linkToPhp()
    php.write(
      event({ cmd: 201 }),
      event({ cmd: 206, connection_id: 5 }),
      event({ cmd: 103, connection_id: 5, body: 'x' }),
    )
    await settled()
    expect(events).toEqual([])
  })
})

describe('the window of a client', () => {
  /** A worker's view: what was handed on, and how it acknowledges. */
  async function linkWorkerToPhp() {
    const linked = await linkToPhp()
    const { events, handledBefore, link } = linked
    /** The worker says that it has handled so many events of a client in all. */
    const acknowledge = (connectionId: number, count: number) => {
      const pair = Buffer.alloc(8)
      pair.writeUInt32BE(connectionId)
      pair.writeUInt32BE(((handledBefore.get(connectionId) ?? 0) + count) >>> 0, 4)
      link.send(Command.ACKNOWLEDGE, 0, 0, '', pair)
    }
    const bodies = (connectionId: number) =>
      events.filter(([what, id]) => what === 'message' && id === connectionId).map((told) => told[3])
    return { ...linked, acknowledge, bodies }
  }

  const messages = (connectionId: number, from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, at) =>
      event({ cmd: 3, connection_id: connectionId, body: `m${from + at}` }),
    )
  const names = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `m${from + at}`)

  it('bounds what the worker has under way of it; the rest waits here, and other clients do not', async () => {
    const { acknowledge, bodies, php, settled } = await linkWorkerToPhp()
    php.write(...messages(5, 1, 100), ...messages(6, 1, 2))
    await settled()
    expect(bodies(5)).toEqual(names(1, 64))
    expect(bodies(6)).toEqual(names(1, 2))
    acknowledge(5, 10)
    expect(bodies(5)).toEqual(names(1, 74))
    acknowledge(5, 36)
    expect(bodies(5)).toEqual(names(1, 100))
    acknowledge(5, 100)
    php.write(...messages(5, 101, 101))
    await settled()
    expect(bodies(5)).toEqual(names(1, 101))
  })

  it('bounds bytes, too, and passes one event however long it is', async () => {
    const { acknowledge, bodies, php, settled } = await linkWorkerToPhp()
    const long = 'x'.repeat(1_000_000)
    php.write(event({ cmd: 3, connection_id: 5, body: long }), event({ cmd: 3, connection_id: 5, body: 'next' }))
    await settled()
    expect(bodies(5)).toEqual([long])
    acknowledge(5, 1)
    expect(bodies(5)).toEqual([long, 'next'])
  })

  it('holds back its end as well, and nothing of it is left then', async () => {
    const { acknowledge, bodies, events, php, settled } = await linkWorkerToPhp()
    php.write(...messages(5, 1, 65), event({ cmd: 4, connection_id: 5, body: '' }))
    await settled()
    expect(events.at(-1)?.[0]).toBe('message')
    acknowledge(5, 64)
    expect(events.at(-1)?.[0]).toBe('close')
    // Its number is used again.
    php.write(event({ cmd: 1, connection_id: 5, body: '' }), ...messages(5, 1, 63))
    await settled()
    expect(bodies(5)).toHaveLength(65 + 63)
  })

  it('ignores acknowledgements that make no sense', async () => {
    const { acknowledge, bodies, php, settled } = await linkWorkerToPhp()
    php.write(...messages(5, 1, 70))
    await settled()
    for (const number of [65, 2 ** 31, -1, 0]) acknowledge(5, number)
    acknowledge(6, 1)
    expect(bodies(5)).toEqual(names(1, 64))
    acknowledge(5, 6)
    acknowledge(5, 3)
    expect(bodies(5)).toEqual(names(1, 70))
  })

  /** Long enough for anything that was written to have been read, if it were read. */
  async function meanwhile(): Promise<void> {
    const other = await linkToPhp()
    for (let turns = 0; turns < 20; turns += 1) await other.settled()
  }

  it('lets ten megabytes wait, then the link is not read but for answers, until half of that is handed on', async () => {
    const { acknowledge, bodies, link, php } = await linkWorkerToPhp()
    const long = 'x'.repeat(512 * 1024)
    for (let at = 0; at < 24; at += 1) php.write(event({ cmd: 3, connection_id: 5, body: long }))
    php.write(event({ cmd: 3, connection_id: 6, body: 'waits' }))
    await vi.waitUntil(() => bodies(5).length === 1, { interval: 1 })
    await meanwhile()
    expect(bodies(6)).toEqual([])
    const asked = link.ask(Command.IS_ONLINE, DEADLINE_MS, 7)
    php.write(buildAnswer('i:1;'))
    expect(await asked).toBe(1)
    expect(bodies(6)).toEqual(['waits'])
    php.write(event({ cmd: 3, connection_id: 6, body: 'waits, too' }))
    await meanwhile()
    expect(bodies(6)).toEqual(['waits'])
    for (let at = 1; at <= 14; at += 1) acknowledge(5, at)
    await vi.waitUntil(() => bodies(6).length === 2, { interval: 1 })
  })
})
