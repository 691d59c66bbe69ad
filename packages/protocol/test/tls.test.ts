import { connect as connectTls } from 'node:tls'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Command } from '../src/commands.ts'
import { LinkListener, type LinkListenerOptions } from '../src/listen.ts'
import type { TlsIdentity } from '../src/tls.ts'
import { createIdentity } from './certificates.ts'
import { keptLog } from './link-pair.ts'
import { connectRaw } from './raw-socket.ts'
import { dial as dialAs, serve } from './scripted-gateway.ts'

const SECRET = 'the very secret'

/** A listener that answers questions with their body. */
async function listen(tls: TlsIdentity | undefined, options: Partial<LinkListenerOptions> = {}) {
  const log = keptLog()
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: 'the listener',
    log,
    onLink: () => ({ onFrame: ({ bodyText, id }, link) => link.answer(id, bodyText) }),
    port: 0,
    secretKey: SECRET,
    tls,
    ...options,
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  const refusal = async () => {
    await vi.waitUntil(() => log.lines.length > 0, { timeout: 10_000 })
    return log.lines[0]!.message
  }
  return { listener, log, port, refusal }
}

function dial(port: number, tls: TlsIdentity | undefined, secretKey = SECRET, host = '127.0.0.1') {
  const dialed = dialAs(port, { host, hello: { instance: 'the dialer', role: { kind: 'client' }, secretKey }, tls })
  const down = async () => {
    await vi.waitUntil(() => dialed.downs.length > 0, { timeout: 10_000 })
    return dialed.downs[0]!
  }
  return { ...dialed, down }
}

describe('a link with TLS', () => {
  it.each([SECRET, ''])('carries frames of any length, which nobody else can read (secret %j)', async (secretKey) => {
    const tls = createIdentity()
    const { port } = await listen(tls, { lanIp: '127.0.0.2', secretKey })
    const relay = await serve('127.0.0.2', port)
    const dialed = dial(port, tls, secretKey, '127.0.0.2')
    const [near, far] = [await relay.next(), await connectRaw(port)]
    const pieces: Buffer[] = [near.waiting]
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.socket.on('data', (chunk: Buffer) => {
        pieces.push(chunk)
        to.write(chunk)
      })
    }
    far.write(near.waiting)
    const link = await dialed.up
    const long = 'a long text '.repeat(400_000)
    const answers = await Promise.all(
      [long, 'a short text', long].map((text) => link.ask(Command.SELECT, 20_000, 0, 0, '', text)),
    )
    expect(answers.map((answer) => answer === long)).toEqual([true, false, true])
    const bytes = Buffer.concat(pieces)
    expect(bytes.length).toBeGreaterThan(4 * long.length)
    for (const word of ['a long text', 'the dialer', 'the listener', 'native']) expect(bytes.includes(word)).toBe(false)
  })

  it('ends after its output, on both sides', async () => {
    const tls = createIdentity()
    const { listener, port } = await listen(tls)
    const dialed = dial(port, tls)
    const link = await dialed.up
    const answer = link.ask(Command.SELECT, 20_000, 0, 0, '', 'x'.repeat(3_000_000))
    expect(await answer).toHaveLength(3_000_000)
    await listener.close()
    await dialed.closed
    expect(await dialed.down()).toMatchObject({ code: 'LINK_CLOSED' })
  })
})

describe('a port with TLS refuses', () => {
  it('one of ours without TLS, and both say what it is', async () => {
    const { port, refusal } = await listen(createIdentity())
    const error = await dial(port, undefined).down()
    // The alert may be cut off by the end of the connection.
    expect(error.code).toMatch(/LEGACY_NOT_ALLOWED|FRAME_TOO_LONG/)
    expect(error.message).toContain('TLS')
    expect(await refusal()).toMatch(/LAN port was refused: it does not speak TLS/)
  })

  it("PHP's, which has no TLS", async () => {
    const { port, refusal } = await listen(createIdentity())
    const php = await connectRaw(port)
    php.say({ cmd: 202, flag: 1, body: JSON.stringify({ secret_key: SECRET }) })
    await php.closed
    expect(await refusal()).toMatch(/it does not speak TLS/)
  })

  it('a certificate of another CA, with the right secret', async () => {
    const own = createIdentity()
    const { port, refusal } = await listen(own)
    const other = createIdentity()
    const dialed = dial(port, { ...other, ca: own.ca })
    const error = await dialed.down()
    expect(error.code).toMatch(/HELLO_REFUSED|LINK_CLOSED/) // it may be cut off while it says hello
    expect(dialed.instances).toEqual([])
    expect(await refusal()).toMatch(/certificate is not of this cluster's CA/)
  })

  it('nobody at all', async () => {
    const { ca } = createIdentity()
    const { port, refusal } = await listen(createIdentity())
    const socket = connectTls({ ca, host: '127.0.0.1', port, rejectUnauthorized: false }).resume()
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
    expect(await refusal()).toMatch(/with a certificate of its own \(ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE\)/)
  })

  it('who is silent, or slow with the handshake', async () => {
    const { port, refusal } = await listen(createIdentity(), { helloTimeoutMs: 50 })
    const silent = await connectRaw(port)
    silent.write(Buffer.from([0x16, 3, 1]))
    await silent.closed
    expect(await refusal()).toMatch(/ERR_TLS_HANDSHAKE_TIMEOUT/)
  })
})

describe('a dialer with TLS refuses', () => {
  it('a port with a certificate of another CA: it says nothing to it', async () => {
    const own = createIdentity()
    const { port } = await listen(createIdentity())
    const dialed = dial(port, own)
    expect(await dialed.down()).toMatchObject({ code: 'LINK_CLOSED', message: expect.stringMatching(/certificate/) })
    expect(dialed.instances).toEqual([])
  })

  it('a port without TLS, and does not try without', async () => {
    const { port, log } = await listen(undefined)
    const dialed = dial(port, createIdentity())
    await vi.waitUntil(() => dialed.downs.length === 2, { timeout: 10_000 })
    expect(dialed.downs[0]).toMatchObject({ code: 'LINK_CLOSED', message: expect.stringContaining('TLS') })
    expect(JSON.stringify(log.lines)).not.toContain('WRONG_SECRET')
    expect(dialed.instances).toEqual([])
  })
})

it('a listener that closes does not wait for handshakes', async () => {
  const { listener, port } = await listen(createIdentity())
  const silent = await connectRaw(port)
  silent.write(Buffer.from([0x16]))
  await new Promise((resolve) => setImmediate(resolve))
  await listener.close()
  await silent.closed
})

it('certificates that are none, or belong to another key, are BAD_CERTIFICATE', async () => {
  const [one, other] = [createIdentity(), createIdentity()]
  for (const tls of [
    { ...one, cert: 'no certificate' },
    { ...one, ca: 'no certificate' },
    { ...one, key: other.key },
    { ...one, key: '' },
  ]) {
    await expect(listen(tls)).rejects.toMatchObject({ code: 'BAD_CERTIFICATE' })
    expect(() => dial(1, tls)).toThrow(expect.objectContaining({ code: 'BAD_CERTIFICATE' }))
  }
})
