import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { linkPhpBackend, linkPhpWorker } from './support/php-peer.ts'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient, type TestClient } from './support/test-client.ts'

const MIB = 1024 * 1024
const OWN_CHANGE = 32

/** What PHP wrote and nothing else can hold: whole floats, an order of keys, objects, bytes. */
const SESSION =
  'a:5:{s:1:"f";d:1;s:1:"z";i:1;i:5;O:1:"A":1:{s:4:"\0*\0x";d:2;}s:1:"b";s:2:"\xff\x00";s:1:"m";a:1:{s:1:"k";d:-0;}}'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A gateway whose workers and backends all speak as PHP. */
async function startPhp() {
  const log = new RecordedLog()
  const gateway = await startGateway({ log })
  const worker = await linkPhpWorker(gateway)
  const backend = await linkPhpBackend(gateway)
  const join = async () => {
    const client = await connectClient(gateway)
    return { client, id: await worker.nextClient() }
  }
  return { backend, gateway, join, log, worker }
}

describe('a PHP worker', () => {
  test('gets the events of its clients beside a native one, with addresses that make the client ids', async () => {
    const gateway = await startGateway({ lanIp: '127.0.0.1' })
    const php = await linkPhpWorker(gateway)
    const native = await linkWorker(gateway)
    const [one, other] = [
      await connectClient(gateway, '/chat?a=1', { headers: { cookie: 'c=d' } }),
      await connectClient(gateway),
    ]
    const connect = await php.event()
    const lanPort = Number(gateway.lanAddress.split(':')[1])
    expect(connect).toMatchObject({
      body: '',
      cmd: 1,
      clientIp: 0x7f000001,
      flag: 1,
      gatewayPort: gateway.address.port,
      localIp: 0x7f000001,
      localPort: lanPort,
      session: '',
    })
    expect(connect.connectionId).toBeGreaterThan(0)
    const handshake = await php.event()
    expect(handshake).toMatchObject({ ...connect, body: expect.any(String), cmd: 205, flag: 0 })
    for (const part of [
      's:3:"get";a:1:{s:1:"a";s:1:"1";}',
      's:6:"cookie";a:1:{s:1:"c";s:1:"d";}',
      's:12:"QUERY_STRING";s:3:"a=1";',
      `s:11:"REMOTE_PORT";i:${connect.clientPort};`,
    ]) {
      expect(handshake.body).toContain(part)
    }
    expect(handshake.body).toMatch(/^a:3:\{/)
    one.send('é')
    one.send(Buffer.from([0xff, 0]))
    one.close()
    expect([await php.event(), await php.event(), await php.event()]).toEqual([
      { ...connect, body: '\xc3\xa9', cmd: 3 },
      { ...connect, body: '\xff\0', cmd: 3 },
      { ...connect, cmd: 4 },
    ])
    other.send('to the native one')
    expect(String((await native.next(Command.ON_MESSAGE)).body)).toBe('to the native one')
    expect(php.raw.waiting.length).toBe(0)
  })

  test('is told the address that the gateway announces, wherever it listens', async () => {
    const gateway = await startGateway({ lanHost: '127.0.0.1', lanIp: '10.200.8.7' })
    const php = await linkPhpWorker(gateway)
    await connectClient(gateway)
    expect((await php.event()).localIp).toBe(0x0ac80807)
  })

  test('with the key of another does not replace it: behind a NAT address two may have the same', async () => {
    const { gateway, join, worker } = await startPhp()
    const { client, id } = await join()
    const second = await linkPhpWorker(gateway)
    const other = await connectClient(gateway)
    const otherId = await second.nextClient()
    client.send('to the first')
    other.send('to the second')
    expect(await worker.event()).toMatchObject({ body: 'to the first', cmd: 3, connectionId: id })
    expect(await second.event()).toMatchObject({ body: 'to the second', cmd: 3, connectionId: otherId })
  })

  test('that does not read makes its clients wait, and nothing is dropped', async () => {
    const MESSAGES = 128
    const log = new RecordedLog()
    const gateway = await startGateway({ log, sendToWorkerBufferSizeBytes: 1_000 })
    const php = await linkPhpWorker(gateway)
    const client = await connectClient(gateway)
    const id = await php.nextClient()
    const native = await linkWorker(gateway, 'worker:0', { acknowledges: true })
    const other = await connectClient(gateway)
    await native.nextClient()
    php.raw.socket.pause()
    const message = Buffer.alloc(256 * 1024)
    for (let at = 0; at < MESSAGES; at += 1) {
      message.writeUInt32BE(at)
      client.send(Buffer.from(message))
    }
    await log.next('a worker is too slow')
    for (let at = 0; at < 100; at += 1) {
      other.send(String(at))
      expect(String((await native.next(Command.ON_MESSAGE)).body)).toBe(String(at))
    }
    expect(client.socket.bufferedAmount).toBeGreaterThan(0)
    php.raw.socket.resume()
    for (let at = 0; at < MESSAGES; at += 1) {
      const frame = await php.raw.frame()
      expect([frame.length, frame.readUInt32BE(17), frame.readUInt32BE(28)]).toEqual([28 + message.length, id, at])
    }
  })

  test('loses the client whose message is too long for it with the session beside it, and no other', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, maxPayloadBytes: 8 * MIB })
    const php = await linkPhpWorker(gateway)
    const [client, other] = [await connectClient(gateway), await connectClient(gateway)]
    const [id, otherId] = [await php.nextClient(), await php.nextClient()]
    const text = 'x'.repeat(4 * MIB)
    php.say(204, id, `a:1:{s:1:"x";s:${text.length}:"${text}";}`)
    await php.settled()
    client.send(Buffer.alloc(6 * MIB))
    expect((await client.closed).code).toBe(1009)
    expect(await php.event()).toMatchObject({ cmd: 4, connectionId: id })
    other.send(Buffer.alloc(6 * MIB))
    expect(await php.event()).toMatchObject({ cmd: 3, connectionId: otherId })
    expect(log.of('an event cannot be told')).toHaveLength(1)
  })

  test('needs the secret, as a backend does', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, secretKey: 'right' })
    await linkPhpWorker(gateway, 'Php:0', 'right')
    await linkPhpBackend(gateway, 'right')
    await expect(linkPhpWorker(gateway, 'Php:1', 'wrong')).rejects.toThrow('ended')
    await expect(linkPhpBackend(gateway)).rejects.toThrow('ended')
    expect(log.of('refused')).toHaveLength(1) // the second one is counted
    expect(log.of('worker linked')).toHaveLength(1)
  })
})

test('backends whose links end with an error are logged once, and then counted', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log })
  for (let times = 0; times < 3; times += 1) {
    const backend = await linkPhpBackend(gateway)
    await backend.settled()
    backend.raw.write(Buffer.from('00000001', 'hex'))
    await backend.raw.closed
  }
  await gateway.stop()
  expect(log.of('the link of a backend was ended')).toMatchObject([
    { details: { code: 'FRAME_TOO_SHORT' } },
    { details: { code: 'FRAME_TOO_SHORT', times: 2 } },
  ])
})

describe('a session that PHP wrote', () => {
  async function startMixed() {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    const php = await linkPhpWorker(gateway)
    const native = await linkPeer(gateway)
    const client = await connectClient(gateway)
    const id = await php.nextClient()
    const sessionAtNative = async () => {
      const told = (await native.ask(Command.GET_SESSION_BY_CLIENT_ID, '', id)) as Buffer
      return told.length === 0 ? {} : msgpack.decode(told)
    }
    return { client, gateway, id, log, native, php, sessionAtNative }
  }

  test('comes back to PHP byte for byte, wherever it is told', async () => {
    const { client, id, php } = await startMixed()
    php.say(204, id, bytes(SESSION))
    php.say(20, id, 'g')
    const length = SESSION.length
    expect(await php.ask(203, '', id)).toBe(SESSION)
    expect(await php.ask(10)).toBe(`a:1:{i:${id};s:${length}:"${SESSION}";}`)
    expect(await php.ask(23, 'g')).toBe(`a:1:{i:${id};s:${length}:"${SESSION}";}`)
    expect(await php.ask(25, '{"fields":["session"],"where":[]}')).toBe(
      `a:1:{i:${id};a:1:{s:7:"session";s:${length}:"${SESSION}";}}`,
    )
    client.send('hi')
    expect((await php.event()).session).toBe(SESSION)
    php.say(204, id, '')
    expect(await php.ask(203, '', id)).toBe('a:0:{}')
    client.send('hi')
    expect((await php.event()).session).toBe('')
  })

  test('is read by native peers, also by the worker that serves the client next', async () => {
    const { client, gateway, id, log, php, sessionAtNative } = await startMixed()
    php.say(204, id, bytes(SESSION))
    await php.settled()
    const expected = { 5: { x: 2 }, b: Buffer.from([255, 0]), f: 1, m: { k: 0 }, z: 1 }
    expect(await sessionAtNative()).toEqual(expected)
    const worker = await linkWorker(gateway)
    php.raw.socket.destroy()
    await log.next('worker gone')
    client.send('hi')
    const context = await worker.next(Command.CLIENT_CONTEXT)
    expect(msgpack.decode(context.ext)).toEqual(expected)
    worker.link.send(Command.PATCH_SESSION, id, OWN_CHANGE, msgpack.encode({ set: { z: 2, n: [1] }, unset: ['b'] }))
    const changed = await worker.next(Command.SESSION_CHANGED)
    expect(msgpack.decode(changed.ext)).toEqual({ 5: { x: 2 }, f: 1, m: { k: 0 }, n: [1], z: 2 })
    const backend = await linkPhpBackend(gateway)
    expect(await backend.ask(203, '', id)).toBe(
      'a:5:{s:1:"f";d:1;s:1:"z";i:2;i:5;O:1:"A":1:{s:4:"\0*\0x";d:2;}s:1:"m";a:1:{s:1:"k";d:-0;}s:1:"n";a:1:{i:0;i:1;}}',
    )
  })

  test('merges as in PHP, whoever does it; what is not touched stays byte for byte', async () => {
    const { id, native, php } = await startMixed()
    php.say(204, id, bytes(SESSION))
    php.say(9, id, 'a:2:{s:1:"m";a:1:{s:1:"l";d:3;}s:1:"z";a:1:{i:0;i:7;}}')
    const merged = SESSION.replace('a:1:{s:1:"k";d:-0;}', 'a:2:{s:1:"k";d:-0;s:1:"l";d:3;}').replace(
      's:1:"z";i:1;',
      's:1:"z";a:1:{i:0;i:7;}',
    )
    expect(await php.ask(203, '', id)).toBe(merged)
    await native.ask(Command.UPDATE_SESSION, msgpack.encode({ z: [8, 9], m: { k: 'n' } }), id)
    expect(await php.ask(203, '', id)).toBe(
      merged.replace('a:1:{i:0;i:7;}', 'a:2:{i:0;i:8;i:1;i:9;}').replace('s:1:"k";d:-0;', 's:1:"k";s:1:"n";'),
    )
    await native.ask(Command.SET_SESSION, msgpack.encode({ l: ['a', 'b'] }), id)
    php.say(9, id, 'a:2:{s:1:"l";a:1:{i:1;d:1;}s:1:"n";N;}')
    expect(await php.ask(203, '', id)).toBe('a:2:{s:1:"l";a:2:{i:0;s:1:"a";i:1;d:1;}s:1:"n";N;}')
  })

  test('into none is what PHP sent', async () => {
    const { id, php } = await startMixed()
    php.say(9, id, bytes(SESSION))
    expect(await php.ask(203, '', id)).toBe(SESSION)
  })

  test.each([
    ['no value', 'a:1:{'],
    ['no array', 'i:5;'],
    ['text', 'nonsense'],
    ['false', 'b:0;'],
    ['a reference into an object', 'a:2:{i:0;O:1:"A":1:{s:1:"x";i:1;}i:1;R:9;}'],
    ['an array that holds itself', 'a:1:{i:0;a:1:{i:0;R:2;}}'],
    ['an array 600 levels deep', `${'a:1:{i:0;'.repeat(600)}N;${'}'.repeat(600)}`],
  ])(
    'that cannot be read (%s) is PHP’s business: native readers get none, and nobody else is hurt',
    async (_what, odd) => {
      const { client, gateway, id, log, native, php, sessionAtNative } = await startMixed()
      php.say(204, id, odd)
      php.say(9, id, 'a:1:{s:1:"a";i:1;}')
      expect(await php.ask(203, '', id)).toBe(odd)
      expect(await sessionAtNative()).toEqual({})
      expect(await sessionAtNative()).toEqual({})
      expect(log.of('cannot be told')).toHaveLength(1)
      await expect(native.ask(Command.UPDATE_SESSION, msgpack.encode({ a: 1 }), id)).rejects.toMatchObject({
        code: expect.stringMatching(/^BAD_/),
      })
      const worker = await linkWorker(gateway)
      php.raw.socket.destroy()
      await log.next('worker gone')
      client.send('hi')
      expect((await worker.next(Command.CLIENT_CONTEXT)).ext.length).toBe(0)
      worker.link.send(Command.PATCH_SESSION, id, OWN_CHANGE, msgpack.encode({ set: { a: 1 }, unset: [] }))
      expect(await worker.next(Command.SESSION_CHANGED)).toMatchObject({ flag: OWN_CHANGE })
      worker.link.send(Command.SET_SESSION, id, OWN_CHANGE, msgpack.encode({ a: 1 }))
      expect(msgpack.decode((await worker.next(Command.SESSION_CHANGED)).ext)).toEqual({ a: 1 })
    },
  )

  test('has text keys for native readers, also where PHP has bytes', async () => {
    const { id, php, sessionAtNative } = await startMixed()
    php.say(204, id, bytes('a:1:{s:1:"m";a:1:{s:1:"\xff";i:1;}}'))
    await php.settled()
    expect(await sessionAtNative()).toEqual({ m: { '\ufffd': 1 } })
  })

  test('that references make too long for a frame is told as none, and the gateway lives', async () => {
    const { client, gateway, id, log, php, sessionAtNative } = await startMixed()
    const text = 'x'.repeat(2 * MIB - 100)
    const copies = Array.from({ length: 5 }, (_, at) => `i:${at + 1};R:2;`).join('')
    const own = `i:0;s:${text.length}:"${text}";i:6;s:${text.length}:"${text}";`
    php.say(204, id, `a:7:{${own}${copies}}`)
    await php.settled()
    expect(await sessionAtNative()).toEqual({})
    const worker = await linkWorker(gateway)
    php.raw.socket.destroy()
    await log.next('worker gone')
    client.send('hi')
    expect(String((await worker.next(Command.ON_MESSAGE)).body)).toBe('hi')
    expect(log.of('cannot be told')).toHaveLength(1)
  })
})

test('a session of ours that is too long in PHP’s format is told to PHP as none, and the client’s events are', async () => {
  const log = new RecordedLog()
  const gateway = await startGateway({ log })
  const php = await linkPhpWorker(gateway)
  const native = await linkPeer(gateway)
  const client = await connectClient(gateway)
  const id = await php.nextClient()
  const many = Array.from({ length: 900_000 }, () => 1) // a byte each in msgpack, a dozen in PHP
  await native.ask(Command.SET_SESSION, msgpack.encode({ many }), id)
  client.send('hi')
  client.close()
  expect(await php.event()).toMatchObject({ body: 'hi', cmd: 3, session: '' })
  expect(await php.event()).toMatchObject({ cmd: 4 })
  expect(log.of('cannot be told')).toHaveLength(1)
})

describe('a PHP backend', () => {
  /** Three clients, and what reached them up to an end mark. */
  async function startThree() {
    const started = await startPhp()
    const members = [await started.join(), await started.join(), await started.join()] as const
    const { backend } = started
    const received = async () => {
      backend.say(6, 0, '', 'end mark')
      return Promise.all(
        members.map(async ({ client }) => {
          const all: (string | Buffer)[] = []
          for (
            let message = await client.messages.next();
            message !== 'end mark';
            message = await client.messages.next()
          )
            all.push(message)
          return all
        }),
      )
    }
    return {
      ...started,
      clients: members.map(({ client }) => client) as [TestClient, TestClient, TestClient],
      ids: members.map(({ id }) => id) as [number, number, number],
      received,
    }
  }

  test('sends texts, bytes and values', async () => {
    const { backend, ids, received } = await startThree()
    const values: [body: string, flag: number][] = [
      ['text', 1],
      ['', 1],
      ['\xff', 1],
      ['a:2:{s:1:"a";s:3:"x/y";i:1;N;}', 0],
      ['N;', 0],
      ['\x81\x01r', 3],
      ['a:1:{', 0],
      ['', 0],
    ]
    for (const [body, flag] of values) backend.say(5, ids[1], '', bytes(body), flag)
    expect(await received()).toEqual([[], ['text', '', Buffer.from([255]), '{"a":"x\\/y","1":null}', 'null', 'r'], []])
  })

  test('reaches whom PHP would reach', async () => {
    const { backend, ids, received } = await startThree()
    const [a, b, c] = ids
    backend.say(12, a, '1001')
    backend.say(12, b, '1001')
    for (const id of [a, b]) backend.say(20, id, 'g')
    for (const id of [b, c]) backend.say(20, id, '123')
    backend.say(6, 0, `{"connections":{"${a}":${a},"x":${a}}}`, 'once')
    backend.say(6, 0, '{"connections":[]}', 'nobody')
    backend.say(6, 0, `{"exclude":{"${a}":${a}}}`, 'not a')
    backend.say(14, 0, '[1001,"1001"]', 'uid')
    backend.say(22, 0, '{"group":["g",123],"exclude":null}', 'groups')
    backend.say(22, 0, `{"group":["g"],"exclude":{"${b}":${b}}}`, 'only a')
    expect(await received()).toEqual([
      ['once', 'uid', 'uid', 'groups', 'only a'],
      ['not a', 'uid', 'uid', 'groups', 'groups'],
      ['not a', 'groups'],
    ])
  })

  test('is answered as by PHP: in the order of joining, numeric groups as ints, uids as they were given', async () => {
    const { backend, ids } = await startThree()
    const [a, b, c] = ids
    backend.say(12, c, '1001')
    backend.say(12, a, '1001')
    for (const group of ['g', '123', '0', '']) backend.say(20, b, group)
    backend.say(20, a, '123')
    expect(await backend.ask(15, '1001')).toBe(`a:2:{i:0;i:${c};i:1;i:${a};}`)
    expect(await backend.ask(16, '[1001,"none"]')).toBe(`a:2:{i:1001;a:2:{i:0;i:${c};i:1;i:${a};}s:4:"none";a:0:{}}`)
    expect(await backend.ask(26)).toBe('a:2:{i:0;s:1:"g";i:1;i:123;}')
    expect(await backend.ask(28, '["g",123,"none"]')).toBe('a:3:{s:1:"g";i:1;i:123;i:2;s:4:"none";i:0;}')
    expect([await backend.ask(24), await backend.ask(24, '123'), await backend.ask(24, '0')]).toEqual([
      'i:3;',
      'i:2;',
      'i:0;',
    ])
    expect([await backend.ask(11, '', a), await backend.ask(11, '', 0)]).toEqual(['i:1;', 'i:0;'])
    expect([await backend.ask(203, '', a), await backend.ask(203, '', 0)]).toEqual(['a:0:{}', 'N;'])
    expect(await backend.ask(10)).toBe(`a:3:{i:${a};s:0:"";i:${b};s:0:"";i:${c};s:0:"";}`)
    expect(await backend.ask(25, `{"fields":["uid","groups"],"where":{"groups":[123],"connection_id":[${c}]}}`)).toBe(
      `a:3:{i:${b};a:2:{s:3:"uid";N;s:6:"groups";a:2:{s:1:"g";s:1:"g";i:123;s:3:"123";}}` +
        `i:${a};a:2:{s:3:"uid";s:4:"1001";s:6:"groups";a:1:{i:123;s:3:"123";}}` +
        `i:${c};a:2:{s:3:"uid";s:4:"1001";s:6:"groups";a:0:{}}}`,
    )
  })

  test.each([
    ['text', 1, ['text']],
    ['', 1, []],
    ['N;', 0, []],
    ['a:1:{i:0;i:1;}', 0, ['[1]']],
    ['a:1:{', 0, []],
  ])('closes a client after saying %j (flag %i), politely', async (body, flag, messages) => {
    const { backend, clients, ids, worker } = await startThree()
    backend.say(7, ids[0], '', body, flag)
    expect((await clients[0].closed).code).toBe(1000)
    expect(await clients[0].messages.take(clients[0].messages.size)).toEqual(messages)
    expect(await worker.event()).toMatchObject({ cmd: 4, connectionId: ids[0] })
    expect(await backend.ask(11, '', ids[0])).toBe('i:0;')
  })

  test('that makes no sense is answered with nothing found, and everybody lives', async () => {
    const { backend, ids, log, received } = await startThree()
    for (const ext of ['[["u"]]', '{', '5', '']) {
      backend.say(14, 0, ext, 'm')
      backend.say(22, 0, ext, 'm')
      backend.say(22, 0, `{"group":${ext === '' ? 'null' : ext}}`, 'm')
      expect([ext, await backend.ask(16, ext), await backend.ask(28, ext)]).toEqual([ext, 'a:0:{}', 'a:0:{}'])
    }
    expect(await backend.ask(25, '{"fields":["uid"],"where":{"groups":[["g"]],"uid":{"a":{"b":1}}}}')).toBe('a:0:{}')
    expect(await backend.ask(25, '{')).toBe('a:0:{}')
    for (const cmd of [0, 99, 101, 102, 103, 206, 255]) backend.say(cmd, ids[0], 'x', 'y')
    backend.say(204, ids[0], 'i:5;')
    backend.say(9, ids[0], 'a:1:{s:1:"a";i:1;}')
    expect(await backend.ask(203, '', ids[0])).toBe('i:5;')
    expect(await received()).toEqual([[], [], []])
    expect(log.of('could not be carried out').length).toBeGreaterThan(0)
  })

  test('is heard to its last whole frame when it closes at once after writing, and answered if it still reads', async () => {
    const { clients, gateway } = await startThree()
    const short = await linkPhpBackend(gateway)
    short.say(6, 0, '', 'last words')
    short.raw.socket.end()
    expect(await clients[2].messages.next()).toBe('last words')
    const asking = await linkPhpBackend(gateway)
    const answer = asking.ask(24)
    asking.raw.socket.end()
    expect(await answer).toBe('i:3;')
  })
})

test('a native worker is told at once what a PHP backend changes in a session', async () => {
  const gateway = await startGateway()
  const worker = await linkWorker(gateway)
  const backend = await linkPhpBackend(gateway)
  await connectClient(gateway)
  const id = await worker.nextClient()
  backend.say(9, id, 'a:1:{s:1:"a";d:1;}')
  const { ext, flag } = await worker.next(Command.SESSION_CHANGED)
  expect([flag, msgpack.decode(ext)]).toEqual([0, { a: 1 }])
})
