import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Handshake } from '../src/handshake.ts'
import type { GatewayServer, GatewayServerOptions } from '../src/index.ts'
import { makeCertificate } from './support/certificate.ts'
import { connectSocket, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'

interface Answer {
  body: string
  head: string
  status: number
}

/** What a gateway answers, as soon as the head is whole and, unless it goes on with frames or events, the connection has ended. */
async function answerTo(gateway: GatewayServer, request: string | Buffer): Promise<Answer> {
  const socket = await connectSocket(gateway.address.port)
  let answer = ''
  const answered = new Promise<void>((resolve) => {
    socket.on('close', () => resolve())
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text
      if (/^HTTP\/1.1 (?:101|200)[\s\S]*\r\n\r\n/.test(answer)) resolve()
    })
  })
  socket.write(request)
  await answered
  const [, status = '0'] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? []
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { body, head: head.toLowerCase(), status: Number(status) }
}

const KEY = 'MDEyMzQ1Njc4OWFiY2RlZg=='
const USUAL = {
  Host: 'a.example',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': KEY,
}

/** A request for a WebSocket, with other or more headers; of several values each is a line, of none there is none. */
function upgrade(headers: Record<string, string | string[]> = {}, line = 'GET / HTTP/1.1'): Buffer {
  const lines = Object.entries({ ...USUAL, ...headers }).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}: ${value}`),
  )
  return Buffer.from(`${[line, ...lines].join('\r\n')}\r\n\r\n`)
}

async function statusOf(options: Partial<GatewayServerOptions>, ...requests: (string | Buffer)[]): Promise<number[]> {
  const gateway = await startGateway(options)
  const statuses: number[] = []
  for (const request of requests) statuses.push((await answerTo(gateway, request)).status)
  return statuses
}

describe('subprotocols (RFC 6455 section 11.3.4, RFC 9110 section 5.6.1): the first is agreed upon,', () => {
  test.each<[offer: string | string[], agreed: string | undefined]>([
    [[], undefined],
    ['', undefined],
    [' ', undefined],
    [',', undefined],
    [' , ,', undefined],
    ['chat', 'chat'],
    ['chat,', 'chat'],
    [',chat', 'chat'],
    ['chat,superchat', 'chat'],
    ['  superchat  ,\tchat', 'superchat'],
    ['chat, chat', 'chat'],
    ['null', 'null'],
    [['chat', 'superchat'], 'chat'],
    [['', 'superchat'], 'superchat'],
  ])('of %j', async (offer, agreed) => {
    const gateway = await startGateway()
    const { head, status } = await answerTo(gateway, upgrade({ 'Sec-WebSocket-Protocol': offer }))
    expect([status, /sec-websocket-protocol: (.*)/.exec(head)?.[1]]).toEqual([101, agreed])
  })

  test.each(['a b', 'a;b', 'chat, "b"', 'café'])('and %j is none', async (offer) => {
    expect(await statusOf({}, upgrade({ 'Sec-WebSocket-Protocol': offer }))).toEqual([400])
  })
})

describe('an upgrade (RFC 6455 section 4.2.1, RFC 9110 section 7.8)', () => {
  test.each<[what: string, headers: Record<string, string | string[]>]>([
    ['Connection in any case', { Connection: 'UPGRADE' }],
    ['Connection with more in it', { Connection: 'keep-alive, Upgrade' }],
    ['Connection in several lines', { Connection: ['keep-alive', 'upgrade'] }],
    ['Upgrade in any case', { Upgrade: 'WebSocket' }],
    ['Upgrade to one of several', { Upgrade: 'h2c, websocket' }],
    ['Upgrade in several lines', { Upgrade: ['websocket', 'h2c'] }],
    ['a Host with a port', { Host: 'a.example:8080' }],
    ['a Host of IPv6', { Host: '[::1]:8080' }],
    ['an empty Host', { Host: '' }],
    ['no Origin', {}],
    ['the Origin null', { Origin: 'null' }],
    ['an expectation', { Expect: '100-continue' }],
    ['a length of nothing', { 'Content-Length': '0' }],
  ])('is taken with %s', async (_what, headers) => {
    expect(await statusOf({}, upgrade(headers))).toEqual([101])
  })

  test.each<[what: string, status: number, request: Buffer]>([
    ['no key', 400, upgrade({ 'Sec-WebSocket-Key': [] })],
    ['a short key', 400, upgrade({ 'Sec-WebSocket-Key': 'AAAA' })],
    ['two keys', 400, upgrade({ 'Sec-WebSocket-Key': [KEY, KEY] })],
    ['no Host', 400, upgrade({ Host: [] })],
    ['two Hosts', 400, upgrade({ Host: ['a', 'b'] })],
    ['a Host that is none', 400, upgrade({ Host: 'a/b' })],
    ['a body', 400, upgrade({ 'Content-Length': '5' })],
    ['a chunked body', 400, upgrade({ 'Transfer-Encoding': 'chunked' })],
    ['another method', 405, upgrade({}, 'POST / HTTP/1.1')],
    ['HTTP/1.0', 426, upgrade({}, 'GET / HTTP/1.0')],
    ['no Connection', 426, upgrade({ Connection: [] })],
    ['an Upgrade to something else', 426, upgrade({ Upgrade: 'h2c' })],
  ])('is not taken with %s', async (_what, status, request) => {
    expect(await statusOf({}, request)).toEqual([status])
  })

  test.each([[], '', '0', '7', '8', '12', '14', '13, 8', 'x', ['13', '13']])(
    'of version %j is told which is spoken',
    async (version) => {
      const gateway = await startGateway()
      const { head, status } = await answerTo(gateway, upgrade({ 'Sec-WebSocket-Version': version }))
      expect([status, /sec-websocket-version: (.*)/.exec(head)?.[1]]).toEqual([426, '13'])
    },
  )
})

describe('extensions (RFC 6455 section 9.1, RFC 7692 section 5.1)', () => {
  test.each<[offer: string | string[], agreed: RegExp | undefined]>([
    ['permessage-deflate', /^permessage-deflate/],
    ['permessage-deflate; client_max_window_bits', /^permessage-deflate/],
    ['x-webkit-deflate-frame, permessage-deflate', /^permessage-deflate/],
    [['x-unknown; a=1; b="2"', 'permessage-deflate'], /^permessage-deflate/],
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate', /^permessage-deflate/],
    ['permessage-deflate, permessage-deflate', /^permessage-deflate/],
    ['permessage-deflate; unknown', undefined],
    ['permessage-deflate; server_max_window_bits=7', undefined],
    ['permessage-deflate; server_max_window_bits=8', undefined],
    ['permessage-deflate; client_max_window_bits=1; client_max_window_bits=2', undefined],
    ['x-webkit-deflate-frame', undefined],
    ['', undefined],
  ])('of %j what can be taken is', async (offer, agreed) => {
    const gateway = await startGateway({ compression: true })
    const { head, status } = await answerTo(gateway, upgrade({ 'Sec-WebSocket-Extensions': offer }))
    const [, said] = /sec-websocket-extensions: (.*)/.exec(head) ?? []
    expect(status).toBe(101)
    if (agreed === undefined) expect(said).toBeUndefined()
    else expect(said).toMatch(agreed)
  })

  test.each([';', 'a;;', 'permessage-deflate; ="', 'a b'])('%j is no list of them', async (offer) => {
    expect(await statusOf({ compression: true }, upgrade({ 'Sec-WebSocket-Extensions': offer }))).toEqual([400])
    expect(await statusOf({}, upgrade({ 'Sec-WebSocket-Extensions': offer }))).toEqual([101])
  })
})

test('an origin is the same in any case, and with the port that its scheme has anyway (WHATWG HTML section 7.1.1)', async () => {
  const origins = ['HTTPS://A.EXAMPLE', 'https://a.example:443', 'https://a.example:8443', 'https://b.example', 'null']
  const requests = origins.map((Origin) => upgrade({ Origin }))
  const two = upgrade({ Origin: ['https://a.example', 'https://b.example'] })
  const statuses = await statusOf({ allowOrigins: ['https://a.example'] }, ...requests, two)
  expect(statuses).toEqual([101, 101, 403, 403, 403, 403])
})

/** What a worker is told of a request for a WebSocket. */
async function toldOf(request: string | Buffer): Promise<Handshake> {
  const gateway = await startGateway()
  const worker = await linkWorker(gateway)
  expect((await answerTo(gateway, request)).status).toBe(101)
  return msgpack.decode((await worker.next(Command.ON_WEBSOCKET_CONNECT)).body) as Handshake
}

describe('a target (RFC 9112 section 3.2)', () => {
  test.each<[target: string, uri: string, host: string, get: object]>([
    ['http://b.example:81/chat?a=1', '/chat?a=1', 'b.example:81', { a: '1' }],
    ['ws://b.example?a=1', '/?a=1', 'b.example', { a: '1' }],
    ['HTTPS://b.example', '/', 'b.example', {}],
    ['/?u=http://b.example/', '/?u=http://b.example/', 'a.example', { u: 'http://b.example/' }],
    ['/?', '/?', 'a.example', {}],
    ['/?&&a&=b&c=', '/?&&a&=b&c=', 'a.example', { a: '', '': 'b', c: '' }],
    ['/?a+b=c+d%2B', '/?a+b=c+d%2B', 'a.example', { 'a b': 'c d+' }],
    ['/?a=%&b=%zz&c=%u4E8E', '/?a=%&b=%zz&c=%u4E8E', 'a.example', { a: '%', b: '%zz', c: '%u4E8E' }],
    ['/张?a=三&b=%E4%B8%89', '/%E5%BC%A0?a=%E4%B8%89&b=%E4%B8%89', 'a.example', { a: '三', b: '三' }],
    ['/?a=1&a=2', '/?a=1&a=2', 'a.example', { a: '2' }],
    ['/?ids[]=1&ids[]=2', '/?ids[]=1&ids[]=2', 'a.example', { ids: ['1', '2'] }],
    ['/?ids%5B%5D=1&ids%5B%5D=2', '/?ids%5B%5D=1&ids%5B%5D=2', 'a.example', { ids: ['1', '2'] }],
    ['/?a[b]=1&a[c][]=2&a[c][]=3', '/?a[b]=1&a[c][]=2&a[c][]=3', 'a.example', { a: { b: '1', c: ['2', '3'] } }],
    ['/?a[=1&b]=2&[c]=3', '/?a[=1&b]=2&[c]=3', 'a.example', { 'a[': '1', 'b]': '2', '[c]': '3' }],
    ['/?a=1&a[b]=2', '/?a=1&a[b]=2', 'a.example', { a: { b: '2' } }],
  ])('%s', async (target, uri, host, get) => {
    const { get: told, server } = await toldOf(upgrade({}, `GET ${target} HTTP/1.1`))
    expect(told).toEqual(get)
    expect(server).toMatchObject({ HTTP_HOST: host, REQUEST_URI: uri })
  })

  test('that comes in pieces, split within a character, is the same', async () => {
    const gateway = await startGateway()
    const worker = await linkWorker(gateway)
    const socket = await connectSocket(gateway.address.port)
    socket.setNoDelay(true)
    for (const byte of upgrade({}, 'GET /?a=张三 HTTP/1.1')) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
    }
    const { body } = await worker.next(Command.ON_WEBSOCKET_CONNECT)
    expect((msgpack.decode(body) as Handshake).get).toEqual({ a: '张三' })
  })

  test('that is too long is told so, and so are headers that are', async () => {
    const long = 'x'.repeat(20_000)
    const requests = [upgrade({}, `GET /?${long} HTTP/1.1`), upgrade({ 'X-Long': long })]
    expect(await statusOf({}, `GET /${long}`, ...requests)).toEqual([414, 414, 431])
    expect(await statusOf({}, upgrade({}, `GET /?${'x'.repeat(8_000)} HTTP/1.1`))).toEqual([101])
  })
})

describe('cookies (RFC 6265)', () => {
  test.each<[header: string | string[], cookie: object]>([
    ['a=b; c=d', { a: 'b', c: 'd' }],
    ['a=b;c=d;', { a: 'b', c: 'd' }],
    ['a=b; a=c', { a: 'b' }],
    [['a=b', 'c=d'], { a: 'b', c: 'd' }],
    ['nick=张三; city=Z%C3%BCrich', { nick: '张三', city: 'Zürich' }],
    ['a="q"; b=1=2; c=; =d; e; f=x+y', { a: '"q"', b: '1=2', c: '', f: 'x+y' }],
    ['toString=1; constructor=2', { toString: '1', constructor: '2' }],
  ])('%j', async (header, cookie) => {
    expect((await toldOf(upgrade({ Cookie: header }))).cookie).toEqual(cookie)
  })
})

describe('two spellings of a header do not become one:', () => {
  test.each([
    [{ 'X-User-Id': '1', X_User_Id: '2' }],
    [{ X_User_Id: '2', 'X-User-Id': '1' }],
    [{ X_User_Id: '2', 'X-User_Id': '3', 'x-user-id': '1' }],
  ])('%j', async (headers) => {
    expect((await toldOf(upgrade(headers))).server.HTTP_X_USER_ID).toBe('1')
  })

  test('one with an underscore is left out', async () => {
    const { server } = await toldOf(upgrade({ X_Forwarded_For: '9.9.9.9', Sec_WebSocket_Key: 'a', Remote_Addr: 'b' }))
    expect(Object.keys(server).filter((name) => /FORWARDED|REMOTE|WEBSOCKET_KEY/.test(name))).toEqual([
      'REMOTE_ADDR',
      'REMOTE_PORT',
      'HTTP_SEC_WEBSOCKET_KEY',
    ])
    expect([server.HTTP_SEC_WEBSOCKET_KEY, server.REMOTE_ADDR]).toEqual([KEY, '127.0.0.1'])
  })
})

test.each<[what: string, options: Partial<GatewayServerOptions>, headers: object]>([
  ['of the name', { trustedProxies: ['loopback'] }, { X_Forwarded_For: '9.9.9.9', 'X-Forwarded-For': '8.8.8.8' }],
  ['of the other header', { trustedProxies: ['loopback'] }, { Forwarded: 'for=9.9.9.9', 'X-Forwarded-For': '8.8.8.8' }],
])('a proxy is believed by one spelling %s', async (_what, options, headers) => {
  const gateway = await startGateway(options)
  const worker = await linkWorker(gateway)
  await answerTo(gateway, upgrade(headers as Record<string, string>))
  const { body } = await worker.next(Command.ON_WEBSOCKET_CONNECT)
  expect((msgpack.decode(body) as Handshake).server.REMOTE_ADDR).toBe('8.8.8.8')
})

describe('what is no WebSocket is answered, counted and logged:', () => {
  const get = (headers = '', line = 'GET / HTTP/1.1') => `${line}\r\nHost: a\r\n${headers}\r\n`
  test.each<[what: string, status: number, reason: 'badRequest' | 'notWebSocket', request: string | Buffer]>([
    ['a health check', 426, 'notWebSocket', get()],
    ['a health check with HEAD', 426, 'notWebSocket', get('', 'HEAD / HTTP/1.1')],
    ['a health check over HTTP/1.0 without Host', 426, 'notWebSocket', 'GET / HTTP/1.0\r\n\r\n'],
    ['a POST without a body', 426, 'notWebSocket', get('Content-Length: 0\r\n', 'POST / HTTP/1.1')],
    ['a POST', 400, 'badRequest', `${get('Content-Length: 1\r\n', 'POST / HTTP/1.1')}a`],
    [
      'a POST that waits to be let go on',
      400,
      'badRequest',
      get('Content-Length: 1\r\nExpect: 100-continue\r\n', 'POST / HTTP/1.1'),
    ],
    ['an expectation that nobody knows', 417, 'badRequest', get('Expect: a miracle\r\n')],
    ['OPTIONS', 426, 'notWebSocket', get('', 'OPTIONS * HTTP/1.1')],
    ['CONNECT', 405, 'badRequest', get('', 'CONNECT a:80 HTTP/1.1')],
    ['no Host', 400, 'badRequest', 'GET / HTTP/1.1\r\n\r\n'],
    ['HTTP/2', 505, 'badRequest', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no HTTP', 400, 'badRequest', 'hello\r\n\r\n'],
    ['TLS', 400, 'badRequest', Buffer.from('16030100050100000100\n', 'latin1')],
    ['two lengths', 400, 'badRequest', get('Content-Length: 0\r\nContent-Length: 1\r\n')],
    ['a length and chunks', 400, 'badRequest', get('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n')],
    ['a line end in a header', 400, 'badRequest', get('a: b\nc\r\n')],
    ['an old version', 426, 'badRequest', upgrade({ 'Sec-WebSocket-Version': '8' })],
    ['a list of extensions that is none', 400, 'badRequest', upgrade({ 'Sec-WebSocket-Extensions': 'a b' })],
  ])('%s', async (_what, status, reason, request) => {
    const log = new RecordedLog()
    const gateway = await startGateway({ compression: true, log })
    const { body, head, status: answered } = await answerTo(gateway, request)
    expect(answered).toBe(status)
    expect(head).toMatch(/^connection: close$/m)
    expect(body === '').toBe(/^HEAD/.test(String(request)))
    expect(gateway.stats()).toMatchObject({ refused: { [reason]: 1 }, refusedConnections: 1 })
    expect(log.of('refused')).toMatchObject([{ details: { address: '127.0.0.1', reason } }])
  })

  test('what comes behind a request that is refused is not looked at', async () => {
    const gateway = await startGateway()
    const { body } = await answerTo(gateway, get().repeat(1_000))
    expect(body).toBe('This port speaks WebSocket: connect to it with ws://, not http://.\n')
    expect(gateway.stats().refusedConnections).toBe(1)
  })

  test('many of them are one line in the log', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log })
    for (let count = 0; count < 20; count += 1) await answerTo(gateway, get())
    expect(gateway.stats().refused.notWebSocket).toBe(20)
    expect(log.of('refused').length).toBe(1)
  })

  test('a client that does not speak TLS, or does not trust the certificate', async () => {
    const log = new RecordedLog()
    const gateway = await startGateway({ log, ssl: makeCertificate() })
    const socket = await connectSocket(gateway.address.port)
    socket.resume().write(get())
    await once(socket, 'close')
    expect(gateway.stats().refused.tls).toBe(1)
    expect(log.of('refused')).toMatchObject([{ details: { address: '127.0.0.1', reason: 'tls' } }])
  })

  test('but not one that connects and goes', async () => {
    for (const ssl of [undefined, makeCertificate()]) {
      const gateway = await startGateway({ handshakeTimeoutMs: 60_000, maxConnections: 1, ssl })
      for (let count = 0; count < 5; count += 1) {
        const socket = await connectSocket(gateway.address.port)
        socket.resume().end()
        await once(socket, 'close')
      }
      expect(gateway.stats().refusedConnections).toBe(0)
    }
  })
})

describe('server-sent events for pages of another origin (Fetch standard, section 3.3)', () => {
  const PREFLIGHT =
    'OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization,last-event-id\r\n\r\n'
  const secret = 'x'.repeat(32)

  test('a page may send the headers that it asks for', async () => {
    const gateway = await startGateway({ sse: true })
    const { body, head, status } = await answerTo(gateway, PREFLIGHT)
    expect([status, body]).toEqual([204, ''])
    expect(head).toContain('access-control-allow-origin: *')
    expect(head).toContain('access-control-allow-methods: get')
    expect(head).toContain('access-control-allow-headers: authorization,last-event-id')
    expect(gateway.stats().refusedConnections).toBe(0)
  })

  test('with cookies if it is listed; one that is not may not', async () => {
    const listed = await answerTo(await startGateway({ allowOrigins: ['https://a.example'], sse: true }), PREFLIGHT)
    expect(listed.head).toContain('access-control-allow-credentials: true')
    expect(listed.head).toContain('access-control-allow-origin: https://a.example')
    const other = await startGateway({ allowOrigins: ['https://b.example'], sse: true })
    expect((await answerTo(other, PREFLIGHT)).status).toBe(403)
    expect(other.stats().refused.origin).toBe(1)
  })

  test('without --sse there are none', async () => {
    expect(await statusOf({}, PREFLIGHT)).toEqual([426])
  })

  test('a page can read why it is refused', async () => {
    const gateway = await startGateway({ jwt: { secret, sources: ['authorization'] }, sse: true })
    const request = 'GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccept: text/event-stream\r\n\r\n'
    const { body, head, status } = await answerTo(gateway, request)
    expect([status, body]).toEqual([401, 'A valid token is needed: there is none.\n'])
    expect(head).toContain('access-control-allow-origin: *')
  })

  test('a request that would go over to HTTP/2 is answered as if it would not', async () => {
    const request =
      'GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n'
    expect(await statusOf({ sse: true }, request)).toEqual([200])
  })

  test.each(['Content-Length: 5', 'Transfer-Encoding: chunked'])(
    'a request with a body (%s) is refused',
    async (header) => {
      const gateway = await startGateway({ sse: true })
      const request = `GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n${header}\r\n\r\n`
      expect((await answerTo(gateway, request)).status).toBe(400)
      expect(gateway.stats()).toMatchObject({ connections: 0, refused: { badRequest: 1 } })
    },
  )

  test('a byte behind the request ends the connection', async () => {
    const gateway = await startGateway({ sse: true })
    const socket = connectTcp({ host: '127.0.0.1', port: gateway.address.port })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n')
    await once(socket, 'data')
    socket.write('x')
    await once(socket, 'close')
    expect(gateway.stats()).toMatchObject({ connections: 0, protocolErrors: 1 })
  })
})
