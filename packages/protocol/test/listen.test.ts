import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import { Frame } from '../src/frame.ts'
import type { Hello } from '../src/hello.ts'
import type { Link } from '../src/link.ts'
import { LinkListener, type LinkListenerOptions } from '../src/listen.ts'
import { buildFrame } from './build-frame.ts'
import { keptLog, readFrames, readToEnd, signal } from './link-pair.ts'

const SECRET = 'the very secret'
const GIVEN_WRONG = 'a wrong guess'

/** A listener with the secret, and everything that gets past it. */
async function listen(options: Partial<LinkListenerOptions> = {}) {
  const log = keptLog()
  const taken: { link: Link; hello: Hello }[] = []
  const handled: string[] = []
  const handledLast = signal()
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: 'the listener',
    log,
    onLink: (link, hello) => {
      taken.push({ link, hello })
      return {
        onFrame: (frame) => {
          handled.push(frame.bodyText)
          if (frame.bodyText.endsWith('last')) handledLast.resolve()
        },
      }
    },
    port: 0,
    secretKey: SECRET,
    ...options,
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  return { listener, port, log, taken, handled, handledLast: handledLast.promise }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => {
    socket.destroy()
  })
  await once(socket, 'connect')
  return socket
}

/** Also if the other side ends it with a reset. */
const closeOf = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

function hello(secret: string | undefined, cmd: number = Command.GATEWAY_CLIENT_CONNECT): Buffer {
  const body = { secret_key: secret, worker_key: 'Chat:1', native: { version: 2, instance: 'the dialer' } }
  return buildFrame({ cmd, flag: 1, body: JSON.stringify(body) })
}

describe('a dialer with the right secret', () => {
  it('is let in, told who listens, and its next frames are handled, also those of the same chunk', async () => {
    const { port, taken, handled, handledLast } = await listen()
    const socket = await dial(port)
    const answer = signal<unknown[]>()
    void readFrames(socket, (frame) => {
      answer.resolve([frame.command, msgpack.decode(frame.body)])
      return true
    })
    const frames = ['one', 'last'].map((body) => buildFrame({ cmd: Command.SEND_TO_ALL, body }))
    socket.write(Buffer.concat([hello(SECRET, Command.WORKER_CONNECT), ...frames]))
    expect(await answer.promise).toEqual([Command.HELLO, { version: 2, instance: 'the listener' }])
    await handledLast
    expect(handled).toEqual(['one', 'last'])
    expect(taken.map((one) => one.hello)).toEqual([
      { instance: 'the dialer', role: { kind: 'worker', workerKey: 'Chat:1' }, secretKey: SECRET },
    ])
    expect(taken[0]!.link.peer).toBe(`127.0.0.1:${socket.localPort}`)
  })

  it('may then send frames that would be too long for a hello, up to the ceiling of the listener', async () => {
    const { port, handled, handledLast, log } = await listen({ maxFrameBytes: 100_000 })
    const socket = await dial(port)
    socket.write(hello(SECRET))
    socket.write(buildFrame({ cmd: 6, body: `${'x'.repeat(99_000)}last` }))
    await handledLast
    expect(handled[0]).toHaveLength(99_004)
    socket.write(buildFrame({ cmd: 6, body: Buffer.alloc(100_000) }))
    await closeOf(socket)
    expect(log.lines).toEqual([]) // the link is its owner's now, who is told by onClose
  })

  it('is let in with any secret where there is none', async () => {
    const { port, handledLast } = await listen({ secretKey: '' })
    const socket = await dial(port)
    socket.write(Buffer.concat([hello(GIVEN_WRONG), buildFrame({ cmd: 6, body: 'last' })]))
    await handledLast
  })
})

describe('nothing is handled of a peer', () => {
  it.each([GIVEN_WRONG, '', undefined])(
    'whose secret is %j, also not what follows in the same chunk; it is told why, and the log does not tell the secrets',
    async (secret) => {
      const { port, taken, handled, log } = await listen()
      const socket = await dial(port)
      const said = readToEnd(socket)
      socket.write(
        Buffer.concat([hello(secret), buildFrame({ cmd: Command.SEND_TO_ALL, body: 'last' }), hello(SECRET)]),
      )
      const refusal = await said
      const frame = new Frame(refusal, 0)
      expect(frame.length).toBe(refusal.length)
      expect(frame.command).toBe(Command.REFUSED)
      expect(msgpack.decode(frame.body)).toMatchObject({ code: 'WRONG_SECRET' })
      await vi.waitUntil(() => log.lines.length > 0)
      expect(taken).toEqual([])
      expect(handled).toEqual([])
      expect(log.lines).toMatchObject([{ level: 'warn', details: { code: 'WRONG_SECRET' } }])
      expect(JSON.stringify(log.lines)).not.toContain(SECRET)
      expect(JSON.stringify(log.lines)).not.toContain(GIVEN_WRONG)
    },
  )

  it.each([
    ['a command', 'WRONG_SECRET', Buffer.concat([buildFrame({ cmd: 6, body: 'last' }), hello(SECRET)])],
    ['a hello of another version', 'BAD_HELLO', buildFrame({ cmd: 202, flag: 1, body: '{"native":{"version":9}}' })],
    [
      'a legacy hello with a wrong secret',
      'WRONG_SECRET',
      buildFrame({ cmd: 200, flag: 1, body: '{"secret_key":"?"}' }),
    ],
    ['an HTTP request', 'FRAME_TOO_LONG', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['zeros', 'FRAME_TOO_SHORT', Buffer.alloc(64)],
    ['a hello that declares 16 KiB and a byte', 'FRAME_TOO_LONG', Buffer.from([0, 0, 0x40, 1])],
    ['an ext beyond its frame', 'FRAME_MALFORMED', Buffer.from(hello(SECRET)).fill(1, 24, 28)],
  ])('that begins with %s: %s', async (_name, code, bytes) => {
    const { port, taken, handled, log } = await listen()
    const socket = await dial(port)
    const closed = closeOf(socket)
    socket.write(bytes)
    socket.resume()
    await closed
    expect(socket.bytesRead).toBe(0)
    await vi.waitUntil(() => log.lines.length > 0)
    expect(log.lines).toMatchObject([{ level: 'warn', details: { code } }])
    expect(taken).toEqual([])
    expect(handled).toEqual([])
  })

  it('that is silent for too long, or stops in the middle of its hello', async () => {
    const { port, log, taken } = await listen({ helloTimeoutMs: 50 })
    const silent = await dial(port)
    const slow = await dial(port)
    slow.write(hello(SECRET).subarray(0, 40))
    await Promise.all([closeOf(silent), closeOf(slow)])
    await vi.waitUntil(() => log.lines.length === 2)
    expect(log.lines.map(({ details }) => details.code)).toEqual(['HELLO_TIMEOUT', 'HELLO_TIMEOUT'])
    expect(taken).toEqual([])
  })
})

describe('a listener', () => {
  it('does not end a link that said hello in time', async () => {
    const { port, handledLast } = await listen({ helloTimeoutMs: 50 })
    const [early, silent] = [await dial(port), await dial(port)]
    early.write(hello(SECRET))
    await closeOf(silent) // came later, so that the time of the other is over too
    early.write(buildFrame({ cmd: 6, body: 'last' }))
    await handledLast
  })

  it('rejects with the error of the system if its port is taken', async () => {
    const { port } = await listen()
    const second = new LinkListener({
      host: '127.0.0.1',
      instance: '',
      onLink: () => ({ onFrame() {} }),
      port,
      secretKey: '',
    })
    await expect(second.listen()).rejects.toMatchObject({ code: 'EADDRINUSE', port })
  })

  it('closes after the output of its links, and whoever has not said hello is cut off', async () => {
    const { listener, port, taken } = await listen()
    const [known, stranger] = [await dial(port), await dial(port)]
    known.write(hello(SECRET))
    const said = readToEnd(known)
    stranger.resume()
    await vi.waitUntil(() => taken.length === 1)
    taken[0]!.link.send(Command.ON_CLOSE, 7)
    await listener.close()
    const bytes = await said
    expect(bytes.subarray(-28).equals(buildFrame({ cmd: 4, connection_id: 7 }))).toBe(true)
    const late = connect(port, '127.0.0.1')
    await expect(once(late, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
