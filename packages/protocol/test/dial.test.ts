import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import { Dialer, type DialerOptions, type GatewayLink } from '../src/dial.ts'
import type { GatewayWorkerError } from '../src/errors.ts'
import type { Hello } from '../src/hello.ts'
import type { Link } from '../src/link.ts'
import { LinkListener } from '../src/listen.ts'
import { buildFrame } from './build-frame.ts'
import { keptLog, linkPair, signal } from './link-pair.ts'

const HELLO: Hello = { instance: 'the dialer', role: { kind: 'client' }, secretKey: '' }

interface Down {
  error: GatewayWorkerError
  retryMs: number
}

/** A dialer whose ups and downs are waited for one by one. */
function dial(port: number, options: Partial<DialerOptions> = {}) {
  const ups: { link: GatewayLink; instance: string | undefined; isClosed: boolean }[] = []
  const downs: Down[] = []
  const frames: string[] = []
  let changed = signal()
  const tell = () => {
    changed.resolve()
    changed = signal()
  }
  const dialer = new Dialer({
    hello: HELLO,
    host: '127.0.0.1',
    port,
    onUp: (link, instance) => {
      ups.push({ link, instance, isClosed: false })
      tell()
      return {
        onFrame: (frame) => frames.push(frame.bodyText) && tell(),
        onClose: () => {
          ups[ups.length - 1]!.isClosed = true
          tell()
        },
      }
    },
    onDown: (error, retryMs) => {
      downs.push({ error, retryMs })
      tell()
    },
    ...options,
  })
  onTestFinished(() => dialer.destroy())
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await changed.promise
  }
  return { dialer, ups, downs, frames, until }
}

async function listen(options: { port?: number; secretKey?: string; instance?: string } = {}) {
  const links: Link[] = []
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: 'the listener',
    onLink: (link) => {
      links.push(link)
      return { onFrame: (frame, from) => frame.id !== 0 && from.answer(frame.id, frame.bodyText) }
    },
    port: 0,
    secretKey: '',
    ...options,
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  return { listener, links, port }
}

/** A server that does with its connections what `onConnection` does. */
async function serve(onConnection: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    onTestFinished(() => {
      socket.destroy()
    })
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, server }
}

async function freePort(): Promise<number> {
  const { port, server } = await serve(() => {})
  server.close()
  await once(server, 'close')
  return port
}

describe('a dialer', () => {
  it('is told which process listens, asks, and gets every frame that follows the HELLO', async () => {
    const { port, links } = await listen()
    const { ups, frames, until } = dial(port)
    await until(() => ups.length === 1)
    expect(ups[0]!.instance).toBe('the listener')
    expect(await ups[0]!.link.ask(Command.SELECT, 5000, 0, 0, '', 'hi')).toBe('hi')
    links[0]!.send(Command.ON_MESSAGE, 1, 0, '', 'pushed')
    await until(() => frames.length === 1)
    expect(frames).toEqual(['pushed'])
  })

  it('gets frames that come in the same chunk as the HELLO', async () => {
    const { port } = await serve((socket) => {
      const hello = buildFrame({ cmd: Command.HELLO, body: msgpack.encode({ version: 4, instance: 'x' }) })
      socket.write(Buffer.concat([hello, buildFrame({ cmd: Command.ON_MESSAGE, body: 'at once' })]))
    })
    const { frames, until } = dial(port)
    await until(() => frames.length === 1)
    expect(frames).toEqual(['at once'])
  })

  it('dials again with growing pauses while nobody listens, and is up when somebody does', async () => {
    const port = await freePort()
    const { ups, downs, until } = dial(port)
    await until(() => downs.length === 3)
    for (const [at, { error, retryMs }] of downs.entries()) {
      expect(error).toMatchObject({ code: 'LINK_CLOSED', cause: { code: 'ECONNREFUSED' } })
      expect(retryMs).toBeGreaterThanOrEqual(Math.floor(50 * 2 ** at * 0.75))
      expect(retryMs).toBeLessThanOrEqual(Math.ceil(50 * 2 ** at * 1.25))
    }
    await listen({ port })
    await until(() => ups.length === 1)
  })

  it('comes back after a restart of the peer, hears that it is another process, and begins with short pauses again', async () => {
    const first = await listen()
    const { ups, downs, until } = dial(first.port)
    await until(() => ups.length === 1)
    await first.listener.close()
    await until(() => downs.length >= 2)
    expect(downs[0]!.error.code).toBe('LINK_CLOSED')
    const second = await listen({ port: first.port, instance: 'the next listener' })
    await until(() => ups.length === 2)
    expect(ups[1]!.instance).toBe('the next listener')
    expect(await ups[1]!.link.ask(Command.SELECT, 5000, 0, 0, '', 'hi')).toBe('hi')
    const before = downs.length
    second.links[0]!.destroy()
    await until(() => downs.length > before)
    expect(downs[before]!.retryMs).toBeLessThanOrEqual(63)
  })

  it('gives up on a peer that takes the connection and says nothing', async () => {
    const { port } = await serve(() => {})
    const { downs, until } = dial(port, { helloTimeoutMs: 30 })
    await until(() => downs.length === 1)
    expect(downs[0]!.error.code).toBe('HELLO_TIMEOUT')
  })

  it('does not end a link that was let in when the time for the hello is over', async () => {
    const { port } = await listen()
    const silent = await serve(() => {})
    const { ups, downs, until } = dial(port, { helloTimeoutMs: 60 })
    await until(() => ups.length === 1)
    const later = dial(silent.port, { helloTimeoutMs: 60 })
    await later.until(() => later.downs.length === 1)
    expect(downs).toEqual([])
    expect(ups[0]!.link.isClosed).toBe(false)
  })

  it.each([
    ['another command', buildFrame({ cmd: Command.CLIENT_CONTEXT })],
    ['a HELLO without a name', buildFrame({ cmd: Command.HELLO, body: msgpack.encode({ version: 4 }) })],
    ['a HELLO of null', buildFrame({ cmd: Command.HELLO, body: msgpack.encode(null) })],
  ])('takes %s for BAD_HELLO', async (_name, bytes) => {
    const log = keptLog()
    const { port } = await serve((socket) => socket.write(bytes))
    const { ups, downs, until } = dial(port, { log })
    await until(() => downs.length === 1)
    expect(downs[0]!.error.code).toBe('BAD_HELLO')
    expect(ups).toEqual([])
    expect(log.lines).toEqual([])
  })

  it.each([
    ['FRAME_TOO_LONG', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['BAD_VALUE', buildFrame({ cmd: Command.HELLO, body: Buffer.from([0xc1]) })],
    ['BAD_VALUE', buildFrame({ cmd: Command.REFUSED, body: Buffer.alloc(0) })],
    ['ANSWER_FAILED', buildFrame({ cmd: Command.REFUSED, body: msgpack.encode(null) })],
  ])('is down with %s when it is answered so', async (code, bytes) => {
    const { port } = await serve((socket) => socket.write(bytes))
    const { downs, until } = dial(port)
    await until(() => downs.length === 1)
    expect(downs[0]!.error.code).toBe(code)
  })
})

describe('a dialer that is closed', () => {
  it('while it dials says nothing more', async () => {
    const ended = signal<Buffer>()
    const { port } = await serve((socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => {
        chunks.push(chunk)
        socket.write(buildFrame({ cmd: Command.HELLO, body: msgpack.encode({ version: 4, instance: 'x' }) }))
      })
      socket.on('end', () => ended.resolve(Buffer.concat(chunks)))
    })
    const { dialer, ups, downs } = dial(port)
    void dialer.close()
    await ended.promise
    await linkPair() // a connection that came later is through
    expect([ups, downs]).toEqual([[], []])
  })

  it('between two tries dials no more', async () => {
    let connections = 0
    const { port } = await serve((socket) => {
      connections += 1
      socket.destroy()
    })
    const closed = dial(port)
    await closed.until(() => closed.downs.length === 1)
    void closed.dialer.close()
    const other = dial(port)
    await other.until(() => other.downs.length === 3) // longer than the first one's pause
    expect(closed.downs).toHaveLength(1)
    expect(connections).toBe(4)
  })

  it('ends its link after what was sent, and does not come back', async () => {
    const bytes = signal<number>()
    const { port } = await serve((socket) => {
      let read = 0
      socket.on('data', (chunk) => {
        if (read === 0) {
          socket.write(buildFrame({ cmd: Command.HELLO, body: msgpack.encode({ version: 4, instance: 'x' }) }))
        }
        read += chunk.length
      })
      socket.on('end', () => bytes.resolve(read))
    })
    const { dialer, ups, downs, until } = dial(port)
    await until(() => ups.length === 1)
    ups[0]!.link.send(Command.SEND_TO_ALL, 0, 0, '', Buffer.alloc(4_000_000))
    void dialer.close()
    expect(await bytes.promise).toBeGreaterThan(4_000_000)
    await until(() => ups[0]!.isClosed)
    expect(downs).toEqual([])
  })
})
