import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command } from '../src/commands.ts'
import type { DialerOptions } from '../src/dial.ts'
import { LinkListener, type LinkListenerOptions } from '../src/listen.ts'
import { isProof, prove } from '../src/proof.ts'
import { buildAnswer, buildFrame } from './build-frame.ts'
import { describeWithHostAddress, hostAddress } from './host-address.ts'
import { keptLog } from './link-pair.ts'
import { challengeFrame, helloBody, helloFrame, logIn, proofOf } from './prover.ts'
import { connectRaw, type RawSocket } from './raw-socket.ts'
import { dial as dialAs, event, FIRST_ANSWER, FIRST_QUESTION, serve } from './scripted-gateway.ts'

const SECRET = 'the very secret of the cluster'
const WRONG = 'a wrong guess'

/** A listener with the secret that knows nobody yet. */
async function listen(options: Partial<LinkListenerOptions> = {}) {
  const log = keptLog()
  const taken: string[] = []
  const handled: number[] = []
  const listener = new LinkListener({
    host: '127.0.0.1',
    instance: 'the listener',
    log,
    onLink: (_link, { role }) => {
      taken.push(role.kind === 'worker' ? role.workerKey : role.kind)
      return { onFrame: ({ command }) => handled.push(command) }
    },
    port: 0,
    secretKey: SECRET,
    ...options,
  })
  const { port } = await listener.listen()
  onTestFinished(() => listener.close())
  return { handled, listener, log, port, taken }
}

function dial(port: number, secretKey = SECRET, options: Partial<DialerOptions> = {}) {
  return dialAs(port, { hello: { instance: 'the dialer', role: { kind: 'client' }, secretKey }, ...options })
}

/** The hello that a dialer says, and its body. */
async function hear(peer: RawSocket): Promise<{ body: string; said: Record<string, unknown> }> {
  const frame = await peer.frame()
  const body = frame.subarray(28).toString()
  return { body, said: JSON.parse(body) }
}

/** Challenges the next dialer, and gives back what both have said so far, and its proof. */
async function challengeNext(server: Awaited<ReturnType<typeof serve>>, challenge = msgpack.encode({ nonce: 'n' })) {
  const peer = await server.next()
  const { body } = await hear(peer)
  peer.write(challengeFrame(challenge))
  const proof = (await peer.frame()).subarray(28)
  return { body, challenge, peer, proof }
}

/** Resolves with why the dialer has no link. */
async function whyDown({ downs }: { downs: { code: string; message: string }[] }) {
  await vi.waitUntil(() => downs.length > 0, { interval: 2, timeout: 10_000 })
  return downs[0]!
}

describe('a proof', () => {
  it('is what the README says, for any part another', () => {
    // (printf 'gatewayworker-link-dialer\\0'; for part in 200 hello challenge; do printf $part | openssl dgst -sha256 -binary; done) |
    //   openssl dgst -sha256 -mac HMAC -macopt key:secret
    const golden = 'f16e170cb32b4d1d878f24f8229a27fcca65fcaa34f33a099d6fa3692fbaf652'
    expect(prove('secret', 'link-dialer', ['200', 'hello', Buffer.from('challenge')]).toString('hex')).toBe(golden)
    const proof = prove('s', 'link-dialer', ['ab', 'c'])
    expect(isProof(proof, 's', 'link-dialer', ['ab', 'c'])).toBe(true)
    expect(isProof(proof, 's', 'link-listener', ['ab', 'c'])).toBe(false)
    expect(isProof(proof, 's', 'link-dialer', ['a', 'bc'])).toBe(false)
    expect(isProof(proof, 't', 'link-dialer', ['ab', 'c'])).toBe(false)
    for (const odd of [undefined, null, '', proof.toString('latin1'), proof.subarray(1), Buffer.alloc(0), {}]) {
      expect(isProof(odd, 's', 'link-dialer', ['ab', 'c'])).toBe(false)
    }
  })
})

describe('the secret', () => {
  it('is never on the wire between our own processes, and both know of each other that they have it', async () => {
    const { port, taken } = await listen({ lanIp: '127.0.0.2' })
    const relay = await serve('127.0.0.2', port)
    const dialed = dial(port, SECRET, { host: '127.0.0.2' })
    const [near, far] = [await relay.next(), await connectRaw(port)]
    let bytes = ''
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.socket.on('data', (chunk: Buffer) => {
        bytes += chunk.toString('latin1')
        to.write(chunk)
      })
    }
    far.write(near.waiting)
    bytes += near.waiting.toString('latin1')
    await dialed.up
    expect(dialed.instances).toEqual(['the listener'])
    expect(taken).toEqual(['client'])
    expect(bytes).toContain('"secret_key":false')
    expect(bytes).not.toContain(SECRET)
  })

  it.each([WRONG, ''])('that is %j at the dialer gets it no further than the first frame', async (secret) => {
    const { port, taken, log } = await listen()
    const dialed = dial(port, secret)
    expect(await whyDown(dialed)).toMatchObject({ code: 'WRONG_SECRET' })
    expect([dialed.instances, taken]).toEqual([[], []])
    await vi.waitUntil(() => log.lines.length > 0, { timeout: 10_000 })
    expect(log.lines[0]).toMatchObject({ level: 'warn', details: { code: 'WRONG_SECRET' } })
    expect(JSON.stringify([log.lines, dialed.downs])).not.toContain(SECRET)
    expect(JSON.stringify([log.lines, dialed.downs])).not.toContain(WRONG)
  })

  it('that only the dialer has is missed by it: it links to nobody who cannot prove it', async () => {
    const { port, taken } = await listen({ secretKey: '' })
    expect(await whyDown(dial(port))).toMatchObject({
      code: 'WRONG_SECRET',
      message: expect.stringContaining('no secret'),
    })
    expect(taken).toEqual([])
  })
})

describe('a dialer does not take for its gateway', () => {
  it('who lets it in without a challenge', async () => {
    const server = await serve()
    const dialed = dial(server.port)
    ;(await server.next()).write(helloFrame('x'))
    expect(await whyDown(dialed)).toMatchObject({ code: 'WRONG_SECRET' })
    expect(dialed.instances).toEqual([])
  })

  it.each([
    ['no proof', () => undefined],
    ['its own proof', ({ proof }) => proof],
    [
      'the proof of another secret',
      ({ body, challenge }) => proofOf(WRONG, 'link-listener', '202', body, challenge, 'x'),
    ],
    [
      'a proof for another instance',
      ({ body, challenge }) => proofOf(SECRET, 'link-listener', '202', body, challenge, 'y'),
    ],
    [
      'a proof for another hello',
      ({ challenge }) => proofOf(SECRET, 'link-listener', '202', helloBody(), challenge, 'x'),
    ],
    [
      'a proof that is too short',
      ({ body, challenge }) => proofOf(SECRET, 'link-listener', '202', body, challenge, 'x').subarray(1),
    ],
  ] as [string, (seen: { body: string; challenge: Buffer; proof: Buffer }) => Buffer | undefined][])(
    'who gives %s',
    async (_what, proofFor) => {
      const server = await serve()
      const dialed = dial(server.port)
      const { peer, ...seen } = await challengeNext(server)
      peer.write(helloFrame('x', proofFor(seen)))
      expect(await whyDown(dialed)).toMatchObject({ code: 'WRONG_SECRET' })
      expect(dialed.instances).toEqual([])
    },
  )

  it('who plays back what a real one has said to it before', async () => {
    const server = await serve()
    const dialed = dial(server.port)
    const first = await challengeNext(server)
    const answer = helloFrame('x', proofOf(SECRET, 'link-listener', '202', first.body, first.challenge, 'x'))
    first.peer.write(answer)
    await dialed.up
    first.peer.socket.destroy()
    const again = await challengeNext(server, first.challenge)
    expect(again.proof).not.toEqual(first.proof)
    again.peer.write(answer)
    await vi.waitUntil(() => dialed.downs.length === 2, { interval: 2, timeout: 10_000 })
    expect(dialed.downs[1]).toMatchObject({ code: 'WRONG_SECRET' })
    expect(dialed.instances).toHaveLength(1)
  })

  it.each([
    ['a legacy event', event({ cmd: 1, connection_id: 5 }), 'BAD_HELLO'],
    ['a legacy answer', FIRST_ANSWER, 'FRAME_TOO_SHORT'],
    ['a challenge longer than 4 KiB', Buffer.from([0, 0, 0x10, 1, 120]), 'FRAME_TOO_LONG'],
    ['an answer of 200 MB', buildAnswer('s:0:"";').fill(0x0b, 0, 1), 'FRAME_TOO_LONG'],
    [
      'a second challenge',
      Buffer.concat([challengeFrame(Buffer.from('a')), challengeFrame(Buffer.from('b'))]),
      'BAD_HELLO',
    ],
  ])('who says %s', async (_what, bytes, code) => {
    const server = await serve()
    const dialed = dial(server.port)
    const peer = await server.next()
    await peer.frame()
    peer.write(bytes)
    expect(await whyDown(dialed)).toMatchObject({ code })
    expect(dialed.instances).toEqual([])
  })

  it('who asks for a proof where there is no secret', async () => {
    const server = await serve()
    const dialed = dial(server.port, '')
    ;(await server.next()).write(challengeFrame(Buffer.from('a')))
    expect(await whyDown(dialed)).toMatchObject({ code: 'BAD_HELLO' })
  })
})

describe('a listener does not let in', () => {
  const refusalOf = (frame: Buffer) => ({ command: frame[4], ...(msgpack.decode(frame.subarray(28)) as object) })

  it.each([
    ['a wrong proof', () => buildFrame({ cmd: 121, body: Buffer.alloc(32) })],
    ['no proof', () => buildFrame({ cmd: 121 })],
    ['its challenge', (challenge) => buildFrame({ cmd: 121, body: challenge })],
    ['a command', () => buildFrame({ cmd: Command.SEND_TO_ALL, body: 'pushed' })],
    [
      'a proof over another hello',
      (challenge, hello) => buildFrame({ cmd: 121, body: proofOf(SECRET, 'link-dialer', '200', hello, challenge) }),
    ],
    [
      'a proof as a listener gives it',
      (challenge, hello) => buildFrame({ cmd: 121, body: proofOf(SECRET, 'link-listener', '202', hello, challenge) }),
    ],
  ] as [string, (challenge: Buffer, hello: string) => Buffer][])(
    'who answers the challenge with %s, and hears nothing that follows',
    async (_what, answerTo) => {
      const { handled, port, taken } = await listen()
      const peer = await connectRaw(port)
      const hello = helloBody(port)
      peer.say({ cmd: 202, flag: 1, body: hello })
      const challenge = (await peer.frame()).subarray(28)
      const right = buildFrame({ cmd: 121, body: proofOf(SECRET, 'link-dialer', '202', hello, challenge) })
      peer.write(answerTo(challenge, hello), right, buildFrame({ cmd: Command.SEND_TO_ALL }))
      expect(refusalOf(await peer.frame())).toMatchObject({ command: Command.REFUSED, code: 'WRONG_SECRET' })
      await peer.closed
      expect([peer.waiting.length, handled, taken]).toEqual([0, [], []])
    },
  )

  it('who plays back a hello and its proof', async () => {
    const { port, taken } = await listen()
    const first = await connectRaw(port)
    const { challenge } = await logIn(first, SECRET)
    const proof = proofOf(SECRET, 'link-dialer', '202', helloBody(port), challenge)
    const again = await connectRaw(port)
    again.say({ cmd: 202, flag: 1, body: helloBody(port) })
    expect((await again.frame()).subarray(28)).not.toEqual(challenge)
    again.say({ cmd: 121, body: proof })
    expect(refusalOf(await again.frame())).toMatchObject({ code: 'WRONG_SECRET' })
    expect(taken).toEqual(['client'])
  })

  it('who knows the secret and says it in clear beside a native hello, without proving it', async () => {
    const { port, taken } = await listen()
    const peer = await connectRaw(port)
    peer.say({ cmd: 202, flag: 1, body: helloBody(port, { nonce: undefined }, { secret_key: SECRET }) })
    expect(refusalOf(await peer.frame())).toMatchObject({ command: Command.REFUSED, code: 'WRONG_SECRET' })
    expect(taken).toEqual([])
  })

  it('who knows the secret and was sent here by somebody in between: the proof is for another gateway', async () => {
    const { log, port, taken } = await listen()
    const relay = await serve()
    const dialed = dial(relay.port)
    const [near, far] = [await relay.next(), await connectRaw(port)]
    far.write(near.waiting)
    near.socket.on('data', (chunk: Buffer) => far.write(chunk))
    far.socket.on('data', (chunk: Buffer) => near.write(chunk))
    expect(await whyDown(dialed)).toMatchObject({
      code: 'WRONG_GATEWAY',
      message: `127.0.0.1:${relay.port} was dialled, and 127.0.0.1:${port} answers`,
    })
    await vi.waitUntil(() => log.lines.length > 0, { timeout: 10_000 })
    expect([taken, log.lines[0]!.details.code]).toEqual([[], 'WRONG_GATEWAY'])
  })

  it('who is of another version, and says so', async () => {
    const { port, log } = await listen()
    const peer = await connectRaw(port)
    peer.say({ cmd: 202, flag: 1, body: helloBody(port, { version: 2 }, { secret_key: SECRET }) })
    expect(refusalOf(await peer.frame())).toMatchObject({ code: 'WRONG_VERSION' })
    await vi.waitUntil(() => log.lines.length > 0, { timeout: 10_000 })
    expect(log.lines[0]).toMatchObject({ details: { code: 'WRONG_VERSION' } })
  })

  it('who says hello and waits with the proof, however it trickles', async () => {
    const { port, log } = await listen({ helloTimeoutMs: 60 })
    const peer = await connectRaw(port)
    peer.say({ cmd: 202, flag: 1, body: helloBody(port) })
    await peer.frame()
    peer.write(Buffer.alloc(3))
    await peer.closed
    await vi.waitUntil(() => log.lines.length > 0, { timeout: 10_000 })
    expect(log.lines).toMatchObject([{ details: { code: 'HELLO_TIMEOUT' } }])
  })
})

describe('a gateway that closes without a word, as PHP does', () => {
  it('is not told the secret, on loopback either, and the error names the option', async () => {
    const server = await serve()
    const dialed = dial(server.port)
    for (let tries = 0; tries < 2; tries += 1) {
      const php = await server.next()
      expect((await hear(php)).said).toMatchObject({ secret_key: false })
      php.socket.end()
    }
    expect(await whyDown(dialed)).toMatchObject({
      advice: expect.stringContaining('--allow-legacy loopback'),
      code: 'LEGACY_NOT_ALLOWED',
      message: expect.stringContaining('set --allow-legacy loopback'),
    })
  })

  it('is not told it where one of ours has been, whatever is allowed', async () => {
    const { listener, port } = await listen()
    const dialed = dial(port, SECRET, { allowLegacy: true })
    await dialed.up
    await listener.close()
    const squatter = await serve('127.0.0.1', port)
    for (const allowLegacy of ['loopback', true] as const) dial(port, SECRET, { allowLegacy })
    for (let tries = 0; tries < 6; tries += 1) {
      const peer = await squatter.next()
      expect((await hear(peer)).said).toMatchObject({ secret_key: false })
      peer.socket.end()
    }
    await vi.waitUntil(() => dialed.downs.some(({ code }) => code === 'LEGACY_NOT_ALLOWED'), { timeout: 10_000 })
    expect(dialed.downs.at(-1)!.message).toContain('restart this process')
  })
})

describe('with allowLegacy "loopback", a PHP gateway', () => {
  const allowLegacy = 'loopback'

  it('is told the secret when it has closed without a word, and from then on at once', async () => {
    const server = await serve()
    const dialed = dial(server.port, SECRET, { allowLegacy })
    const first = await server.next()
    expect((await hear(first)).said).toMatchObject({ secret_key: false })
    first.socket.end()
    for (let times = 0; times < 2; times += 1) {
      const php = await server.next()
      expect((await hear(php)).said).toMatchObject({ secret_key: SECRET })
      expect(await php.frame()).toEqual(FIRST_QUESTION)
      php.write(FIRST_ANSWER)
      await vi.waitUntil(() => dialed.instances.length === times + 1, { interval: 2, timeout: 10_000 })
      php.socket.destroy()
    }
    expect(dialed.instances).toEqual([undefined, undefined])
  })

  it('of another secret closes again: that is HELLO_REFUSED, and the next dial does not say it at once', async () => {
    const server = await serve()
    const dialed = dial(server.port, SECRET, { allowLegacy })
    for (const told of [false, SECRET, false]) {
      const php = await server.next()
      expect((await hear(php)).said).toMatchObject({ secret_key: told })
      php.socket.end()
    }
    expect(await whyDown(dialed)).toMatchObject({ code: 'HELLO_REFUSED' })
  })

  it('in whose place one of ours comes is found to be ours, with a proof', async () => {
    const server = await serve()
    const dialed = dial(server.port, SECRET, { allowLegacy })
    ;(await server.next()).socket.end()
    const { body, challenge, peer } = await (async () => {
      const peer = await server.next()
      const { body } = await hear(peer)
      await peer.frame() // the question that comes with it
      const challenge = msgpack.encode({ nonce: 'n' })
      peer.write(challengeFrame(challenge))
      await peer.frame()
      return { body, challenge, peer }
    })()
    peer.write(helloFrame('ours', proofOf(SECRET, 'link-listener', '202', body, challenge, 'ours')))
    await dialed.up
    expect(dialed.instances).toEqual(['ours'])
    peer.socket.destroy()
    expect((await hear(await server.next())).said).toMatchObject({ secret_key: false })
  })

  it('is not told it because it is away, or silent, or broke the connection', async () => {
    const server = await serve()
    const dialed = dial(server.port, SECRET, { allowLegacy, helloTimeoutMs: 40 })
    await (await server.next()).closed // silent
    const reset = await server.next()
    await hear(reset)
    reset.socket.resetAndDestroy()
    expect((await hear(await server.next())).said).toMatchObject({ secret_key: false })
    expect(dialed.downs.map(({ code }) => code)).toEqual(['HELLO_TIMEOUT', 'LINK_CLOSED'])
  })
})

describeWithHostAddress('beyond loopback', () => {
  const phpHello = (secret_key: string) => buildFrame({ cmd: 202, flag: 1, body: JSON.stringify({ secret_key }) })

  it.each([undefined, 'loopback'] as const)('a PHP gateway is not told the secret with %s', async (allowLegacy) => {
    const server = await serve(hostAddress)
    const dialed = dial(server.port, SECRET, { allowLegacy, host: hostAddress })
    for (let tries = 0; tries < 2; tries += 1) {
      const php = await server.next()
      expect((await hear(php)).said).toMatchObject({ secret_key: false })
      php.socket.end()
    }
    expect(await whyDown(dialed)).toMatchObject({
      code: 'LEGACY_NOT_ALLOWED',
      message: expect.stringContaining('--allow-legacy all'),
    })
  })

  it('it is with allowLegacy', async () => {
    const server = await serve(hostAddress)
    const dialed = dial(server.port, SECRET, { allowLegacy: true, host: hostAddress })
    ;(await server.next()).socket.end()
    const php = await server.next()
    expect((await hear(php)).said).toMatchObject({ secret_key: SECRET })
    php.write(FIRST_ANSWER)
    await dialed.up
    expect(dialed.instances).toEqual([undefined])
  })

  it('a PHP peer is not let in with the right secret; one of ours is', async () => {
    const { log, port, taken } = await listen({ host: hostAddress, lanIp: hostAddress })
    const php = await connectRaw(port, hostAddress)
    php.write(phpHello(SECRET))
    await php.closed
    await vi.waitUntil(() => log.lines.length > 0, { timeout: 10_000 })
    expect(log.lines).toMatchObject([
      {
        details: { code: 'LEGACY_NOT_ALLOWED' },
        level: 'warn',
        message: expect.stringContaining('--allow-legacy all'),
      },
    ])
    expect(taken).toEqual([])
    await dial(port, SECRET, { host: hostAddress }).up
    expect(taken).toEqual(['client'])
  })

  it.each([
    ['with allowLegacy', hostAddress, true],
    ['on loopback', '127.0.0.1', false],
  ] as const)('a PHP peer is let in %s, with the right secret only', async (_where, host, allowLegacy) => {
    const { port, taken } = await listen({ allowLegacy, host })
    const wrong = await connectRaw(port, host)
    wrong.write(phpHello(WRONG))
    await wrong.closed
    expect(taken).toEqual([])
    ;(await connectRaw(port, host)).write(phpHello(SECRET))
    await vi.waitUntil(() => taken.length > 0, { timeout: 10_000 })
  })
})
