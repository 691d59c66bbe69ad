import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ClientOrigin, ToldClient } from '../src/dialect.ts'
import { GatewayWorkerError } from '../src/errors.ts'
import type { Frame } from '../src/frame.ts'
import type { Hello } from '../src/hello.ts'
import type { Link } from '../src/link.ts'
import { LinkListener, type LinkListenerOptions } from '../src/listen.ts'
import { buildAnswer, buildFrame, type WireFields } from './build-frame.ts'
import { keptLog } from './link-pair.ts'
import { helloBody, logIn } from './prover.ts'
import { connectRaw, type RawSocket } from './raw-socket.ts'

const SECRET = 'the very secret'
const WRONG = 'a wrong guess'
const SCALAR = 1

const hello = (secret: string | undefined, cmd = 202): Buffer =>
  buildFrame({ cmd, flag: SCALAR, body: JSON.stringify({ secret_key: secret, worker_key: 'Chat:0' }) })
const text = (body: string): Buffer => buildFrame({ cmd: 6, flag: SCALAR, body })

/** A listener whose links do what `onFrame` does; by default each frame is kept, as its command, ext and message. */
async function listen(options: Partial<LinkListenerOptions> = {}, onFrame?: (frame: Frame, link: Link) => void) {
  const log = keptLog()
  const hellos: Hello[] = []
  const links: Link[] = []
  const handled: [command: number, ext: string, body: string][] = []
  const closes: (string | undefined)[] = []
  const keep = (frame: Frame) => handled.push([frame.command, frame.extText, frame.body.toString('latin1')])
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: 'the listener',
    lanIp: '192.168.1.20',
    log,
    onLink: (link, said) => {
      hellos.push(said)
      links.push(link)
      return { onFrame: onFrame ?? keep, onClose: (_link, error) => closes.push(error?.code) }
    },
    port: 0,
    secretKey: SECRET,
    ...options,
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  return {
    closes,
    handled,
    hellos,
    links,
    log,
    port,
    until: (isSo: () => boolean) => vi.waitUntil(isSo, { interval: 1 }),
  }
}

/** A PHP worker at a listener, and its link there. */
async function linkWorker(options: Partial<LinkListenerOptions> = {}, onFrame?: (frame: Frame, link: Link) => void) {
  const listening = await listen(options, onFrame)
  const php = await connectRaw(listening.port)
  php.write(hello(SECRET, 200))
  await listening.until(() => listening.links.length === 1)
  return { ...listening, link: listening.links[0]!, php }
}

describe('a peer that speaks as PHP', () => {
  it('is let in as a worker, and told nothing', async () => {
    const { hellos, link, php } = await linkWorker()
    expect(hellos).toEqual([{ instance: undefined, role: { kind: 'worker', workerKey: 'Chat:0' }, secretKey: SECRET }])
    link.close()
    await php.closed
    expect(php.socket.bytesRead).toBe(0)
  })

  it('says who it is and what it wants in one go, cut anywhere; what came whole before it ends is carried out', async () => {
    const { closes, handled, hellos, port, until } = await listen()
    const stream = Buffer.concat([hello(SECRET), buildFrame({ cmd: 14, flag: SCALAR, ext: '["u"]', body: 'hi' })])
    const cut = buildFrame({ cmd: 6, body: 'never whole' }).subarray(0, -1)
    for (let at = 1; at <= stream.length; at += 1) {
      const php = await connectRaw(port)
      await php.writeCut(Buffer.concat([stream, cut]), at)
      php.socket.end()
      await until(() => closes.length === at)
      expect(handled.splice(0)).toEqual([[14, '["u"]', 'hi']])
      expect(php.socket.bytesRead).toBe(0)
    }
    expect(hellos[0]).toEqual({ instance: undefined, role: { kind: 'client' }, secretKey: SECRET })
    expect(closes.every((code) => code === undefined)).toBe(true)
  })

  it('may say who it is before each command', async () => {
    const { handled, port, until } = await listen()
    const php = await connectRaw(port)
    php.write(hello(SECRET), text('a'), hello(SECRET), hello(SECRET), text('b'))
    await until(() => handled.length === 2)
    expect(handled.map(([, , body]) => body)).toEqual(['a', 'b'])
  })

  it.each([
    ['a wrong secret', hello(WRONG), 'WRONG_SECRET'],
    ['no secret', hello(undefined), 'WRONG_SECRET'],
    ['garbage', buildFrame({ cmd: 202, flag: SCALAR, body: '{' }), 'BAD_HELLO'],
  ])('that says %s later is closed, and nothing more of it is handled', async (_what, bytes, code) => {
    const { closes, handled, port, until } = await listen()
    const php = await connectRaw(port)
    php.write(hello(SECRET), text('a'), bytes, text('b'), hello(SECRET), text('c'))
    await php.closed
    await until(() => closes.length === 1)
    expect(closes).toEqual([code])
    expect(handled.map(([, , body]) => body)).toEqual(['a'])
    expect(php.socket.bytesRead).toBe(0)
  })

  it('needs no hello where there is no secret, nor a short first frame, and its hello may say any', async () => {
    const { handled, hellos, port, until } = await listen({ secretKey: '' })
    const [one, two] = [await connectRaw(port), await connectRaw(port)]
    one.write(text('x'.repeat(100_000)), text('a'))
    await until(() => handled.length === 2)
    two.write(hello(WRONG, 200), text('b'))
    await until(() => handled.length === 3)
    expect(handled.map(([, , body]) => body.length)).toEqual([100_000, 1, 1])
    expect(hellos.map(({ role }) => role.kind)).toEqual(['client', 'worker'])
  })

  it.each([
    ['with a wrong secret', hello(WRONG), 'WRONG_SECRET'],
    ['with a wrong secret, as a worker', hello(WRONG, 200), 'WRONG_SECRET'],
    ['with an empty secret', hello(''), 'WRONG_SECRET'],
    [
      'with a secret that is no text',
      buildFrame({ cmd: 202, body: '{"secret_key":["the very secret"]}' }),
      'WRONG_SECRET',
    ],
    ['without a secret', hello(undefined), 'WRONG_SECRET'],
    ['without a hello', text('a'), 'WRONG_SECRET'],
    ['with a question and no hello', buildFrame({ cmd: 11 }), 'WRONG_SECRET'],
    ['with a list', buildFrame({ cmd: 202, body: '["the very secret"]' }), 'BAD_HELLO'],
    ['with serialized PHP', buildFrame({ cmd: 202, body: 'a:0:{}' }), 'BAD_HELLO'],
    ['with 16 KiB of hello', buildFrame({ cmd: 202, body: ' '.repeat(16_384) }).subarray(0, 28), 'FRAME_TOO_LONG'],
  ])('%s is closed, told nothing, and logged without the secrets', async (_what, bytes, code) => {
    const { handled, hellos, log, port, until } = await listen()
    const php = await connectRaw(port)
    php.write(bytes, hello(SECRET), text('a'))
    await php.closed
    await until(() => log.lines.length > 0)
    expect(php.socket.bytesRead).toBe(0)
    expect(log.lines).toMatchObject([{ level: 'warn', details: { code } }])
    expect(JSON.stringify(log.lines)).not.toContain(SECRET)
    expect(JSON.stringify(log.lines)).not.toContain(WRONG)
    expect([handled, hellos]).toEqual([[], []])
  })

  it.each([
    ['shorter than its header', '0000001b', 'FRAME_TOO_SHORT'],
    ['longer than the ceiling', '00a00001', 'FRAME_TOO_LONG'],
    ['with an ext beyond its end', '0000001c060000000000000000000000000000000000000000000001', 'FRAME_MALFORMED'],
  ])('ends its own link with a frame %s', async (_what, hex, code) => {
    const { closes, php, until } = await linkWorker()
    php.write(Buffer.from(hex, 'hex'))
    await php.closed
    await until(() => closes.length === 1)
    expect(closes).toEqual([code])
  })

  it('may be silent for as long as it likes, and hears no PING', async () => {
    const { links, php, port, until } = await linkWorker({ linkTimeoutMs: 15 })
    const native = await connectRaw(port)
    await logIn(native, SECRET, 200, helloBody(port, { to: `192.168.1.20:${port}` }))
    await until(() => links.length === 2)
    await native.closed // who is expected to say PING, and came later
    expect(php.socket.bytesRead).toBe(0)
    expect(links[0]!.isClosed).toBe(false)
  })
})

/** A client as a gateway has it, with a session in PHP's format. */
function client(session = '', origin: Partial<ClientOrigin> = {}): ToldClient {
  return {
    connectionId: 0xfffffffe,
    origin: { gatewayPort: 7272, remoteAddress: '10.1.2.200', remotePort: 50_001, ...origin },
    sessionIn: ({ name }) => Buffer.from(name === 'php' ? session : `a session in ${name}`, 'latin1'),
  }
}

describe('an event', () => {
  const told = (port: number): Omit<WireFields, 'cmd'> => ({
    local_ip: 0xc0a80114,
    local_port: port,
    client_ip: 0x0a0102c8,
    client_port: 50_001,
    connection_id: 0xfffffffe,
    gateway_port: 7272,
    flag: SCALAR,
  })

  async function heard(tell: (link: Link) => void) {
    const { link, php, port } = await linkWorker()
    tell(link)
    return { frame: (await php.frame()).toString('hex'), php, port }
  }

  it.each([
    ['ON_CONNECT', 1, 0, ''],
    ['ON_MESSAGE', 3, 1, 'text'],
    ['ON_MESSAGE of a binary message', 3, 5, '\xff\x00'],
    ['ON_CLOSE', 4, 1, ''],
  ])('%s has the addresses and the session, and a body of bytes', async (_name, cmd, flag, body) => {
    const session = 'a:1:{s:1:"a";d:0.5;}'
    const { frame, port } = await heard((link) =>
      link.dialect.tellEvent(link, client(session), cmd, flag, Buffer.from(body, 'latin1')),
    )
    expect(frame).toBe(
      buildFrame({ ...told(port), cmd, ext: session, body: Buffer.from(body, 'latin1') }).toString('hex'),
    )
  })

  it('ON_WEBSOCKET_CONNECT is an array, as PHP reads the request', async () => {
    const server = { QUERY_STRING: 'l[]=%C3%A9', SERVER_NAME: 'h', CONTENT_TYPE: '', REMOTE_PORT: 50_001 }
    const handshake = { cookie: {}, get: { 'l[]': 'é' }, server: { ...server, HTTP_HOST: 'h' } }
    const { frame, port } = await heard((link) => link.dialect.tellEvent(link, client(), 205, 0, handshake))
    const body =
      'a:3:{s:3:"get";a:1:{s:1:"l";a:1:{i:0;s:2:"é";}}s:6:"server";a:5:{s:12:"QUERY_STRING";s:10:"l[]=%C3%A9";s:11:"SERVER_NAME";s:1:"h";s:12:"CONTENT_TYPE";N;s:11:"REMOTE_PORT";i:50001;s:9:"HTTP_HOST";s:1:"h";}s:6:"cookie";a:0:{}}'
    expect(frame).toBe(buildFrame({ ...told(port), cmd: 205, flag: 0, body }).toString('hex'))
  })

  it('as one literal, byte for byte', async () => {
    const { frame, port } = await heard((link) =>
      link.dialect.tellEvent(link, client('a:0:{}'), 3, SCALAR, Buffer.from('hi')),
    )
    const lanPort = port.toString(16).padStart(4, '0')
    expect(frame).toBe(`0000002403c0a80114${lanPort}0a0102c8c351fffffffe011c6800000006613a303a7b7d6869`)
  })

  it('ON_CLOSE does not say why, because PHP does not', async () => {
    const { frame, port } = await heard((link) => link.dialect.tellEvent(link, client(), 4, 0, { reason: 'kicked' }))
    expect(frame).toBe(buildFrame({ ...told(port), cmd: 4 }).toString('hex'))
  })

  it.each(['::1', 'fe80::1%eth0', '2001:db8::7', ''])('of a client at %j has no address', async (remoteAddress) => {
    const { frame, port } = await heard((link) =>
      link.dialect.tellEvent(link, client('', { remoteAddress }), 1, SCALAR, Buffer.alloc(0)),
    )
    expect(frame).toBe(buildFrame({ ...told(port), client_ip: 0, cmd: 1 }).toString('hex'))
  })

  it('alone is told: not who a client is, and not its session', async () => {
    const { frame, port } = await heard((link) => {
      link.dialect.tellClient(link, client(), 0)
      link.dialect.tellSession(link, client('a:0:{}'), 32)
      link.dialect.tellEvent(link, client(), 4, SCALAR, Buffer.alloc(0))
    })
    expect(frame).toBe(buildFrame({ ...told(port), cmd: 4 }).toString('hex'))
  })

  it('that is too long with its session is not sent, and the link lives', async () => {
    const { link, php, port } = await linkWorker()
    const long = client('x'.repeat(5 * 1024 * 1024))
    const message = Buffer.alloc(5 * 1024 * 1024)
    expect(() => link.dialect.tellEvent(link, long, 3, SCALAR, message)).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LONG' }),
    )
    link.dialect.tellEvent(link, client(), 4, SCALAR, Buffer.alloc(0))
    expect(await php.frame()).toEqual(buildFrame({ ...told(port), cmd: 4 }))
  })
})

describe('an answer', () => {
  /** What PHP hears when it asks, and the gateway answers so. */
  async function answered(cmd: number, value: unknown): Promise<RawSocket> {
    const { php } = await linkWorker({}, (frame, link) => {
      expect(link.dialect.isQuestion(frame)).toBe(true)
      if (value instanceof GatewayWorkerError) link.dialect.answerError(link, frame, value)
      else link.dialect.answer(link, frame, value)
    })
    php.say({ cmd, connection_id: 1, flag: SCALAR })
    return php
  }

  const row = (fields: [string, unknown][]) => new Map(fields)

  it.each<[string, number, unknown, string]>([
    [
      'everybody’s sessions',
      10,
      new Map([
        [9, Buffer.from('a:1:{i:0;s:1:"\xff";}', 'latin1')],
        [4, Buffer.alloc(0)],
      ]),
      'a:2:{i:9;s:18:"a:1:{i:0;s:1:"\xff";}";i:4;s:0:"";}',
    ],
    ['nobody’s', 10, new Map(), 'a:0:{}'],
    ['online', 11, 1, 'i:1;'],
    ['offline', 11, 0, 'i:0;'],
    ['connections', 15, [0xffffffff, 4], 'a:2:{i:0;i:4294967295;i:1;i:4;}'],
    [
      'connections of uids',
      16,
      new Map<string, number[]>([
        ['u', [9]],
        ['1001', []],
        ['05', []],
        ['é', []],
      ]),
      'a:4:{s:1:"u";a:1:{i:0;i:9;}i:1001;a:0:{}s:2:"05";a:0:{}s:2:"\xc3\xa9";a:0:{}}',
    ],
    ['a group’s sessions', 23, new Map([[4, Buffer.alloc(0)]]), 'a:1:{i:4;s:0:"";}'],
    ['a count', 24, 12, 'i:12;'],
    [
      'rows',
      25,
      new Map([
        [
          9,
          row([
            [
              'groups',
              new Map([
                ['5', '5'],
                ['g', 'g'],
              ]),
            ],
            ['session', Buffer.alloc(0)],
            ['uid', null],
          ]),
        ],
        [4, row([['uid', '1001']])],
      ]),
      'a:2:{i:9;a:3:{s:6:"groups";a:2:{i:5;s:1:"5";s:1:"g";s:1:"g";}s:7:"session";s:0:"";s:3:"uid";N;}i:4;a:1:{s:3:"uid";s:4:"1001";}}',
    ],
    [
      'groups, of which numbers are ints',
      26,
      ['123', 'g', '007', '-5', '9223372036854775807', '9223372036854775808'],
      'a:6:{i:0;i:123;i:1;s:1:"g";i:2;s:3:"007";i:3;i:-5;i:4;i:9223372036854775807;i:5;s:19:"9223372036854775808";}',
    ],
    [
      'counts',
      28,
      new Map([
        ['5', 2],
        ['g', 0],
      ]),
      'a:2:{i:5;i:2;s:1:"g";i:0;}',
    ],
    ['a session, as it is', 203, Buffer.from('a:1:{s:1:"f";d:1;}'), 'a:1:{s:1:"f";d:1;}'],
    ['no session', 203, Buffer.alloc(0), 'a:0:{}'],
    ['no client', 203, null, 'N;'],
  ])('is its length and its value: %s', async (_name, cmd, value, serialized) => {
    const php = await answered(cmd, value)
    expect((await php.take(buildAnswer(serialized).length)).toString('latin1')).toBe(
      buildAnswer(serialized).toString('latin1'),
    )
  })

  it('IS_ONLINE as PHP has it', async () => {
    const php = await answered(11, 1)
    expect((await php.take(8)).toString('hex')).toBe('00000004693a313b')
  })

  it('may be longer than a frame', async () => {
    const group = 'g'.repeat(1024 * 1024)
    const php = await answered(
      26,
      Array.from({ length: 11 }, () => group),
    )
    expect(await php.answer()).toHaveLength(
      'a:11:{}'.length + 11 * (group.length + 's:1048576:"";'.length) + 10 * 4 + 5,
    )
  })

  it.each([
    [10, 'a:0:{}'],
    [11, 'i:0;'],
    [15, 'a:0:{}'],
    [16, 'a:0:{}'],
    [23, 'a:0:{}'],
    [24, 'i:0;'],
    [25, 'a:0:{}'],
    [26, 'a:0:{}'],
    [28, 'a:0:{}'],
    [203, 'N;'],
  ])('to question %i that makes no sense is nothing found', async (cmd, serialized) => {
    const php = await answered(cmd, new GatewayWorkerError('BAD_PARAMETERS', 'no sense'))
    expect(await php.answer()).toBe(serialized)
  })

  it('is given to questions only, in the order of asking', async () => {
    const counted: number[] = []
    const { php } = await linkWorker({}, (frame, link) => {
      counted.push(frame.command)
      if (link.dialect.isQuestion(frame)) link.dialect.answer(link, frame, counted.length)
    })
    const noQuestions = [5, 6, 7, 8, 9, 12, 13, 14, 20, 21, 22, 27, 204, 99, 105, 106]
    for (const cmd of [...noQuestions, 11, 6, 24]) php.say({ cmd, local_ip: 7, connection_id: 1, flag: SCALAR })
    expect([await php.answer(), await php.answer()]).toEqual(['i:17;', 'i:19;'])
    expect(php.waiting.length).toBe(0)
  })
})

describe('a message', () => {
  async function read(fields: WireFields) {
    const seen: { hasMessage: boolean; message: string; isBinary: boolean }[] = []
    const { link, php, until } = await linkWorker({}, (frame, { dialect }) => {
      const { body, isBinary } = dialect.readMessage(frame)
      seen.push({ hasMessage: dialect.hasMessage(frame), isBinary, message: body.toString('latin1') })
    })
    php.say(fields)
    await until(() => seen.length === 1 || link.isClosed)
    return seen[0]
  }

  it.each([
    ['text', SCALAR, 'hi', 'hi', false],
    ['UTF-8', SCALAR, '\xc3\xa9', '\xc3\xa9', false],
    ['bytes that are no UTF-8', SCALAR, '\xff', '\xff', true],
    ['text to send as it is', 3, '\x81\x00', '\x81\x00', true],
    ['text that looks serialized', SCALAR, 'N;', 'N;', false],
    ['an array', 0, 'a:2:{s:1:"a";s:3:"x/y";s:1:"l";a:2:{i:0;b:1;i:1;N;}}', '{"a":"x\\/y","l":[true,null]}', false],
    ['an empty array', 0, 'a:0:{}', '[]', false],
    ['an array that is no list', 0, 'a:2:{i:1;s:1:"b";i:0;s:1:"a";}', '{"1":"b","0":"a"}', false],
    ['null', 0, 'N;', 'null', false],
  ])('is %s', async (_name, flag, body, message, isBinary) => {
    const seen = await read({ cmd: 5, flag, body: Buffer.from(body, 'latin1') })
    expect(seen).toEqual({ hasMessage: !(flag === 0 && body === 'N;'), isBinary, message })
  })

  it('that is empty is a text, and nothing to say before the end', async () => {
    expect(await read({ cmd: 7, flag: SCALAR })).toEqual({ hasMessage: false, isBinary: false, message: '' })
  })

  it.each(['', 'a:1:{', 'x'])('that is no value (%j) is refused', async (body) => {
    const { closes, php, until } = await linkWorker({}, (frame, { dialect }) => dialect.readMessage(frame))
    php.say({ cmd: 5, body })
    await until(() => closes.length === 1)
    expect(closes).toEqual(['BAD_VALUE'])
  })
})
