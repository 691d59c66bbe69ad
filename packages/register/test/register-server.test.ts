import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { RegisterServer } from '../src/register-server.ts'
import { Peer, startRegister } from './peer.ts'

const SECRET = 'the very secret'
const WRONG = 'a wrong guess'

const list = (...addresses: string[]) => JSON.stringify({ event: 'broadcast_addresses', addresses })

async function connectGateway(port: number, address: string, secret_key?: string): Promise<Peer> {
  const gateway = await Peer.connect(port)
  gateway.say({ event: 'gateway_connect', address, secret_key })
  return gateway
}

async function connectWorker(port: number, secret_key?: string): Promise<Peer> {
  const worker = await Peer.connect(port)
  worker.say({ event: 'worker_connect', secret_key })
  return worker
}

describe('a worker', () => {
  it('hears at once who is online, a list also when nobody is', async () => {
    const { port } = await startRegister()
    expect(await (await connectWorker(port)).line()).toBe('{"event":"broadcast_addresses","addresses":[]}')
  })

  it('hears the whole list at every change, as does every other', async () => {
    const { port } = await startRegister()
    const workers = [await connectWorker(port), await connectWorker(port)]
    const hear = () => Promise.all(workers.map((worker) => worker.line()))
    expect(await hear()).toEqual([list(), list()])
    const first = await connectGateway(port, '10.0.0.1:2900')
    expect(await hear()).toEqual([list('10.0.0.1:2900'), list('10.0.0.1:2900')])
    await connectGateway(port, '10.0.0.2:2900')
    expect(await hear()).toEqual(Array(2).fill(list('10.0.0.1:2900', '10.0.0.2:2900')))
    first.socket.destroy()
    expect(await hear()).toEqual([list('10.0.0.2:2900'), list('10.0.0.2:2900')])
  })

  it('hears few lists when all gateways come at once, the whole one last, and an answer at once meanwhile', async () => {
    const { port } = await startRegister()
    const watchers = await Promise.all(Array.from({ length: 5 }, () => connectWorker(port)))
    for (const watcher of watchers) expect(await watcher.line()).toBe(list())
    const addresses = Array.from({ length: 200 }, (_, at) => `10.0.0.${at}:2900`)
    const announcer = await Peer.connect(port)
    announcer.say({ event: 'gateway_connect', address: '10.0.1.1:2900' })
    for (const watcher of watchers) expect(await watcher.line()).toBe(list('10.0.1.1:2900'))
    const startedAt = performance.now()
    await Promise.all(addresses.map((address) => connectGateway(port, address)))
    const late = await connectWorker(port)
    await late.line()
    for (const watcher of watchers) {
      const heard: string[] = []
      while (heard.at(-1) === undefined || JSON.parse(heard.at(-1)!).addresses.length <= addresses.length)
        heard.push(await watcher.line())
      expect(JSON.parse(heard.at(-1)!).addresses.toSorted()).toEqual([...addresses, '10.0.1.1:2900'].toSorted())
      expect(heard.length).toBeLessThanOrEqual(9 + (performance.now() - startedAt) / 50) // not 200
    }
  })

  it('that asks again is answered again', async () => {
    const { port } = await startRegister()
    const worker = await connectWorker(port)
    await worker.line()
    worker.say({ event: 'worker_connect' }, { event: 'ping' }, { event: 'worker_connect' })
    expect([await worker.line(), await worker.line()]).toEqual([list(), list()])
  })
})

describe('an address', () => {
  it('is listed once, and until the last connection that announced it ends', async () => {
    const { port } = await startRegister()
    const worker = await connectWorker(port)
    await worker.line()
    const announcers = [await connectGateway(port, '10.0.0.1:2900')]
    expect(await worker.line()).toBe(list('10.0.0.1:2900'))
    announcers.push(await connectGateway(port, '10.0.0.1:2900'))
    expect(await worker.line()).toBe(list('10.0.0.1:2900'))
    announcers[0]!.socket.end()
    expect(await worker.line()).toBe(list('10.0.0.1:2900'))
    announcers[1]!.socket.end()
    expect(await worker.line()).toBe(list())
  })

  it('takes the place of the one that the same connection announced before', async () => {
    const { port } = await startRegister()
    const worker = await connectWorker(port)
    await worker.line()
    const gateway = await connectGateway(port, '10.0.0.1:2900')
    await worker.line()
    gateway.say({ event: 'gateway_connect', address: '10.0.0.1:2901' })
    expect(await worker.line()).toBe(list('10.0.0.1:2901'))
  })

  it.each([undefined, '', 5, ['10.0.0.1:2900']])('is not %j: the connection is closed', async (address) => {
    const { port } = await startRegister()
    const gateway = await Peer.connect(port)
    gateway.say({ event: 'gateway_connect', address })
    await gateway.closed
    expect(await (await connectWorker(port)).line()).toBe(list())
  })
})

describe('a secret', () => {
  it('lets in who has it', async () => {
    const { port } = await startRegister({ secretKey: SECRET })
    const worker = await connectWorker(port, SECRET)
    expect(await worker.line()).toBe(list())
    await connectGateway(port, '10.0.0.1:2900', SECRET)
    expect(await worker.line()).toBe(list('10.0.0.1:2900'))
  })

  it.each(['gateway_connect', 'worker_connect'])(
    'keeps out who says %s without it; nothing is told, and no secret is logged',
    async (event) => {
      const { port, log, server } = await startRegister({ secretKey: SECRET })
      for (const secret_key of [WRONG, '', undefined, `${SECRET} `, { [SECRET]: WRONG }]) {
        const peer = await Peer.connect(port)
        peer.say({ event, address: '10.0.0.9:2900', secret_key }, { event: 'worker_connect', secret_key: SECRET })
        await peer.closed
        expect(peer.lines).toEqual([])
      }
      expect(await (await connectWorker(port, SECRET)).line()).toBe(list())
      await server.stop()
      expect(log.lines).toHaveLength(2)
      expect(log.lines[1]).toContain('"times":4')
      expect(log.lines[0]).toMatch(/secret key is missing or wrong.*127\.0\.0\.1:\d+/)
      expect(log.lines.join()).not.toContain(SECRET)
      expect(log.lines.join()).not.toContain(WRONG)
    },
  )

  it('is needed to hear of anything: who only pings hears of no change', async () => {
    const { port } = await startRegister({ secretKey: SECRET })
    const stranger = await Peer.connect(port)
    stranger.say({ event: 'ping' })
    const worker = await connectWorker(port, SECRET)
    await worker.line()
    await connectGateway(port, '10.0.0.1:2900', SECRET)
    await worker.line()
    expect(stranger.lines).toEqual([])
  })
})

describe('a connection', () => {
  it.each([
    ['an unknown event', '{"event":"shutdown"}\n'],
    ['no JSON', 'GET / HTTP/1.1\r\n\r\n'],
    ['binary data', '\0\0\0\x1c\xc8\n'],
    ['a line that is too long', `{"event":"${'x'.repeat(64 * 1024)}`],
  ])('that says %s ends, its address goes offline, and no other is touched', async (_name, bad) => {
    const { port, log } = await startRegister()
    const worker = await connectWorker(port)
    await worker.line()
    await connectGateway(port, '10.0.0.1:2900')
    await worker.line()
    const broken = await connectGateway(port, '10.0.0.2:2900')
    expect(await worker.line()).toBe(list('10.0.0.1:2900', '10.0.0.2:2900'))
    broken.say(bad)
    await broken.closed
    expect(await worker.line()).toBe(list('10.0.0.1:2900'))
    worker.say({ event: 'worker_connect' })
    expect(await worker.line()).toBe(list('10.0.0.1:2900'))
    expect(log.lines.filter((line) => line.includes('a register connection was closed'))).toHaveLength(1)
  })

  it('is not heard any more after a bad line in the same chunk', async () => {
    const { port } = await startRegister()
    const worker = await connectWorker(port)
    await worker.line()
    const peer = await Peer.connect(port)
    peer.say({ event: 'nonsense' }, { event: 'gateway_connect', address: '10.0.0.1:2900' })
    await peer.closed
    worker.say({ event: 'worker_connect' })
    expect(await worker.line()).toBe(list()) // and no line before it, of an address that came and went
  })

  it('may say 4 KiB in a line before it is let in, however it trickles, and 64 KiB after that', async () => {
    const { port, log } = await startRegister({ secretKey: SECRET })
    const stranger = await Peer.connect(port)
    const line = JSON.stringify({ event: 'worker_connect', secret_key: SECRET, padding: '' })
    for (let at = 0; at < 4097; at += 1) stranger.socket.write('x')
    await stranger.closed
    expect(log.lines[0]).toContain('longer than 4096 bytes')
    const known = await Peer.connect(port)
    known.say(`${line.replace('""', `"${'x'.repeat(4096 - line.length)}"`)}\n`)
    expect(await known.line()).toBe(list())
    known.say(`${line.replace('""', `"${'x'.repeat(60_000)}"`)}\n`)
    expect(await known.line()).toBe(list())
  })

  it('that asks for an answer to its ping gets one', async () => {
    const { port } = await startRegister()
    const peer = await Peer.connect(port)
    peer.say({ event: 'ping' }, { event: 'ping', answer: true })
    expect(JSON.parse(await peer.line())).toEqual({ event: 'pong' })
    expect(peer.lines).toEqual([])
  })

  it('that does not say in time who it is is closed, also if it pings; one that does is kept', async () => {
    const { port, log, server } = await startRegister({ authTimeoutMs: 80 })
    const kept = [await connectWorker(port), await connectGateway(port, '10.0.0.1:2900')]
    const silent = await Peer.connect(port)
    silent.say({ event: 'ping' })
    const slow = await Peer.connect(port)
    slow.say('{"event":')
    await Promise.all([silent.closed, slow.closed])
    for (const peer of kept) expect(peer.socket.destroyed).toBe(false)
    await server.stop()
    expect(log.lines.filter((line) => line.includes('within 80 ms'))).toEqual([
      expect.not.stringContaining('times'),
      expect.stringContaining('"times":1'), // the second one is counted
    ])
  })
})

describe('a gateway that nobody reaches', () => {
  it('is online, but told so if it asks for answers, and it is logged', async () => {
    const { port, log } = await startRegister()
    const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const [ours, php] = [await Peer.connect(port), await Peer.connect(port)]
    ours.say({ event: 'gateway_connect', address }, { event: 'ping', answer: true })
    await once(server, 'connection') // it is tried, and can be reached
    await once(server.close(), 'close')
    php.say({ event: 'gateway_connect', address })
    await vi.waitUntil(() => log.lines.some((line) => line.startsWith('a gateway cannot be reached')))
    ours.say({ event: 'gateway_connect', address })
    expect(JSON.parse(await ours.line())).toEqual({ event: 'pong' })
    expect(JSON.parse(await ours.line())).toMatchObject({
      event: 'unreachable',
      address,
      reason: expect.stringContaining('ECONNREFUSED'),
    })
    expect(php.lines).toEqual([])
    const worker = await connectWorker(port)
    expect(await worker.line()).toBe(list(address))
  })
})

describe('a register', () => {
  it('rejects with the error of the system if its port is taken', async () => {
    const { port } = await startRegister()
    await expect(new RegisterServer({ host: '127.0.0.1', port }).start()).rejects.toMatchObject({
      code: 'EADDRINUSE',
      port,
    })
  })

  it('ends its connections when it stops', async () => {
    const { port, server } = await startRegister()
    const worker = await connectWorker(port)
    await worker.line()
    await server.stop()
    await worker.closed
    await expect(Peer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await server.stop() // once more does no harm
  })
})

describe('a worker that wants it described', () => {
  it('hears of every announcement, and the clock, before the list', async () => {
    const { port } = await startRegister({ secretKey: SECRET })
    const watcher = await connectWorker(port, SECRET)
    for (const _ of ['one', 'twin']) {
      await watcher.line()
      await connectGateway(port, '10.0.0.1:2900', SECRET)
    }
    await watcher.line()
    const before = Date.now()
    const asker = await Peer.connect(port)
    asker.say({ event: 'worker_connect', describe: true, secret_key: SECRET })
    const { time, ...rest } = JSON.parse(await asker.line())
    const announcement = { address: '10.0.0.1:2900', from: '127.0.0.1' }
    expect(rest).toEqual({
      announcements: [announcement, announcement],
      event: 'register_description',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    })
    expect(time).toBeGreaterThanOrEqual(before)
    expect(time).toBeLessThanOrEqual(Date.now())
    expect(await asker.line()).toBe(list('10.0.0.1:2900'))
  })

  it('hears nothing without the secret', async () => {
    const { port } = await startRegister({ secretKey: SECRET })
    const asker = await Peer.connect(port)
    asker.say({ event: 'worker_connect', describe: true, secret_key: WRONG })
    await asker.closed
    expect(asker.lines).toEqual([])
  })
})
