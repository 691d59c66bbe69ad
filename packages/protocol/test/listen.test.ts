import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Command } from '../src/commands.ts'
import type { Hello } from '../src/hello.ts'
import type { Link } from '../src/link.ts'
import { LinkListener, type LinkListenerOptions } from '../src/listen.ts'
import { buildFrame } from './build-frame.ts'
import { keptLog, signal } from './link-pair.ts'
import { helloBody, logIn, proofOf } from './prover.ts'
import { connectRaw } from './raw-socket.ts'

const SECRET = 'the very secret'

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

/** Also if the other side ends it with a reset. */
const closeOf = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

async function dial(port: number): Promise<Socket> {
  return (await connectRaw(port)).socket
}

const hello = (body = helloBody(0)) => buildFrame({ cmd: 202, flag: 1, body })

describe('a dialer with the right secret', () => {
  it('is let in, told who listens, and its next frames are handled', async () => {
    const { port, taken, handled, handledLast } = await listen()
    const peer = await connectRaw(port)
    const body = helloBody(port)
    const { challenge, command, value } = await logIn(peer, SECRET, Command.WORKER_CONNECT, body)
    expect([command, value]).toEqual([
      Command.HELLO,
      {
        version: 4,
        instance: 'the listener',
        proof: proofOf(SECRET, 'link-listener', '200', body, challenge, 'the listener'),
      },
    ])
    for (const text of ['one', 'last']) peer.say({ cmd: Command.SEND_TO_ALL, body: text })
    await handledLast
    expect(handled).toEqual(['one', 'last'])
    expect(taken.map((one) => one.hello)).toMatchObject([
      { instance: 'the dialer', role: { kind: 'worker', workerKey: 'Chat:1' } },
    ])
    expect(taken[0]!.link.peer).toBe(`127.0.0.1:${peer.socket.localPort}`)
  })

  it('may then send frames that would be too long for a hello, up to the ceiling of the listener', async () => {
    const { port, handled, handledLast, log } = await listen({ maxFrameBytes: 100_000 })
    const peer = await connectRaw(port)
    await logIn(peer, SECRET)
    peer.say({ cmd: 6, body: `${'x'.repeat(99_000)}last` })
    await handledLast
    expect(handled[0]).toHaveLength(99_004)
    peer.say({ cmd: 6, body: Buffer.alloc(100_000) })
    await peer.closed
    expect(log.lines).toEqual([]) // the link is its owner's now, who is told by onClose
  })

  it('is let in where there is none if it has none either, with what comes in the same chunk', async () => {
    const { port, handled, handledLast } = await listen({ secretKey: '' })
    const peer = await connectRaw(port)
    peer.write(
      hello(helloBody(port, { nonce: undefined })),
      buildFrame({ cmd: 11 }),
      buildFrame({ cmd: 6, body: 'last' }),
    )
    await handledLast
    expect(handled).toEqual(['last']) // the question is for PHP's gateways
  })
})

describe('nothing is handled of a peer', () => {
  it.each([
    ['a command', 'WRONG_SECRET', Buffer.concat([buildFrame({ cmd: 6, body: 'last' }), hello()])],
    ['a hello without a version', 'BAD_HELLO', hello(helloBody(0, { version: undefined }))],
    [
      'a legacy hello with a wrong secret',
      'WRONG_SECRET',
      buildFrame({ cmd: 200, flag: 1, body: '{"secret_key":"?"}' }),
    ],
    ['an HTTP request', 'FRAME_TOO_LONG', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['zeros', 'FRAME_TOO_SHORT', Buffer.alloc(64)],
    ['a hello that declares 4 KiB and a byte', 'FRAME_TOO_LONG', Buffer.from([0, 0, 0x10, 1])],
    ['an ext beyond its frame', 'FRAME_MALFORMED', Buffer.from(hello()).fill(1, 24, 28)],
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
    const { listener, port, log, taken } = await listen({ helloTimeoutMs: 50 })
    const silent = await dial(port)
    const slow = await dial(port)
    slow.write(hello().subarray(0, 40))
    await Promise.all([closeOf(silent), closeOf(slow)])
    await listener.close()
    // The second one is counted, unless it came when the listener had closed.
    const refused = () => log.lines.reduce((sum, { details }) => sum + Number(details.times ?? 1), 0)
    await vi.waitUntil(() => refused() === 2)
    expect(new Set(log.lines.map(({ details }) => details.code))).toEqual(new Set(['HELLO_TIMEOUT']))
    expect(taken).toEqual([])
  })
})

describe('a listener', () => {
  it('does not end a link that said hello in time', async () => {
    const { port, handledLast } = await listen({ helloTimeoutMs: 50 })
    const early = await connectRaw(port)
    await logIn(early, SECRET)
    await closeOf(await dial(port)) // came later, so that the time of the other is over too
    early.say({ cmd: 6, body: 'last' })
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
    const [known, stranger] = [await connectRaw(port), await connectRaw(port)]
    await logIn(known, SECRET)
    taken[0]!.link.send(Command.ON_CLOSE, 7)
    await listener.close()
    await Promise.all([known.closed, stranger.closed])
    expect(known.waiting.equals(buildFrame({ cmd: 4, connection_id: 7 }))).toBe(true)
    const late = connect(port, '127.0.0.1')
    await expect(once(late, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
