import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { GatewayWorkerError } from '@gatewayworker/protocol'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createIdentity } from '../../protocol/test/certificates.ts'
import { describeWithHostAddress, hostAddress } from '../../protocol/test/host-address.ts'
import type { DiscoveryOptions } from '../src/discovery.ts'
import { RegisterAnnouncer, RegisterWatcher } from '../src/register-client.ts'
import { eventually } from './listen.ts'
import { keptLog, Peer, startRegister } from './peer.ts'

const SECRET = 'the very secret of the cluster'
const WRONG = 'a wrong guess'
const NONCE = 'ab'.repeat(32)
const LIST = { event: 'broadcast_addresses', addresses: ['10.0.0.1:2900'] }

const sha256 = (part: string) => createHash('sha256').update(part).digest()

/** The proof as the README describes it, built without what is tested. */
function proofOf(secret: string, prover: string, ...lines: string[]): string {
  const said = Buffer.concat([Buffer.from(`gatewayworker-${prover}\0`), ...lines.map(sha256)])
  return createHmac('sha256', secret).update(said).digest('hex')
}

const greeting = (more: object = {}, nonce: string | undefined = NONCE) =>
  JSON.stringify({ event: 'worker_connect', secret_key: false, native: { version: 4, nonce }, ...more })

const codeOf = (line: string): unknown => JSON.parse(line).code

/** Says a greeting to a register and what it is asked for; resolves with the challenge. */
async function prove(peer: Peer, secret: string, line = greeting()): Promise<string> {
  peer.say(`${line}\n`)
  const challenge = await peer.line()
  peer.say({ event: 'proof', proof: proofOf(secret, 'register-client', line, challenge) })
  return challenge
}

/** A register that the test plays; its clients are taken one by one. */
async function scripted(host = '127.0.0.1', port = 0) {
  const peers: Peer[] = []
  const server = createServer((socket) => peers.push(new Peer(socket)))
  server.listen(port, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const next = async () => {
    await vi.waitUntil(() => peers.length > 0, { interval: 2, timeout: 10_000 })
    return peers.shift()!
  }
  return { address: `${host}:${(server.address() as AddressInfo).port}`, next }
}

function watch(register: string, options: Partial<DiscoveryOptions> = {}) {
  const lists: string[][] = []
  const refusals: GatewayWorkerError[] = []
  const log = keptLog()
  const watcher = new RegisterWatcher(
    {
      log,
      onRefused: (error) => refusals.push(error),
      registerAddresses: [register],
      secretKey: SECRET,
      ...options,
    },
    (addresses) => lists.push(addresses),
  )
  onTestFinished(() => watcher.close())
  const refusal = async () => {
    await vi.waitUntil(() => refusals.length > 0, { interval: 2, timeout: 10_000 })
    return refusals[0]!
  }
  const list = async () => {
    await vi.waitUntil(() => lists.length > 0, { interval: 2, timeout: 10_000 })
    return lists.shift()!
  }
  return { list, lists, log, refusal, refusals, watcher }
}

describe('a register and its clients', () => {
  it('prove to each other that they know the secret, which is not on the wire', async () => {
    const register = await startRegister({ secretKey: SECRET })
    const relay = await scripted()
    const watched = watch(relay.address)
    const [near, far] = [await relay.next(), await Peer.connect(register.port)]
    let bytes = near.lines.map((line) => `${line}\n`).join('')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.socket.on('data', (chunk: Buffer) => {
        bytes += chunk
        to.socket.write(chunk)
      })
    }
    far.say(bytes)
    expect(await watched.list()).toEqual([])
    const announcer = new RegisterAnnouncer('10.0.0.1:2900', {
      registerAddresses: [register.address],
      secretKey: SECRET,
    })
    onTestFinished(() => announcer.close())
    expect(await watched.list()).toEqual(['10.0.0.1:2900'])
    expect(bytes).toContain('"event":"welcome"')
    expect(bytes).not.toContain(SECRET)
  })

  it.each([
    ['the wrong one', WRONG, SECRET, /wrong/],
    ['none', '', SECRET, /no secret key was given/],
    ['one that the register has not', SECRET, '', /register has no secret/],
  ])('do not come together with %s, and both say why', async (_what, own, others, reason) => {
    const register = await startRegister({ secretKey: others })
    const watched = watch(register.address, { secretKey: own })
    const error = await watched.refusal()
    expect(error).toMatchObject({ code: 'WRONG_SECRET', message: expect.stringMatching(reason) })
    expect(watched.watcher.problems).toEqual([`${register.address}: ${error.message}`])
    expect(watched.lists).toEqual([])
    expect(register.log.lines[0]).toContain('WRONG_SECRET')
    expect([...register.log.lines, error.message].join()).not.toMatch(new RegExp(`${SECRET}|${WRONG}`))
  })
})

describe('a register does not let in', () => {
  it.each([
    ['no proof', () => ({ event: 'proof' })],
    [
      'a proof with another secret',
      (challenge: string) => ({
        event: 'proof',
        proof: proofOf(WRONG, 'register-client', greeting(), challenge),
      }),
    ],
    [
      'a proof of another greeting',
      (challenge: string) => ({
        event: 'proof',
        proof: proofOf(SECRET, 'register-client', greeting({ address: '10.0.0.1:2900' }), challenge),
      }),
    ],
    [
      'a proof as a register gives it',
      (challenge: string) => ({
        event: 'proof',
        proof: proofOf(SECRET, 'register-server', greeting(), challenge),
      }),
    ],
  ])('who answers the challenge with %s', async (_what, answerTo) => {
    const { port } = await startRegister({ secretKey: SECRET })
    const peer = await Peer.connect(port)
    peer.say(`${greeting()}\n`)
    const challenge = await peer.line()
    const right = { event: 'proof', proof: proofOf(SECRET, 'register-client', greeting(), challenge) }
    peer.say(answerTo(challenge), right)
    expect(codeOf(await peer.line())).toBe('WRONG_SECRET')
    await peer.closed
    expect(peer.lines).toEqual([])
  })

  it('who plays back what another has said, proves twice, or proves what it was not asked', async () => {
    const { port } = await startRegister({ secretKey: SECRET })
    const first = await Peer.connect(port)
    const challenge = await prove(first, SECRET)
    expect(JSON.parse(await first.line())).toEqual({
      event: 'welcome',
      proof: proofOf(SECRET, 'register-server', greeting(), challenge),
    })
    const proof = { event: 'proof', proof: proofOf(SECRET, 'register-client', greeting(), challenge) }
    const again = await Peer.connect(port)
    again.say(`${greeting()}\n`)
    expect(await again.line()).not.toBe(challenge)
    again.say(proof)
    expect(codeOf(await again.line())).toBe('WRONG_SECRET')
    const unasked = await Peer.connect(port)
    unasked.say(proof)
    expect(codeOf(await unasked.line())).toBe('WRONG_SECRET')
    await first.line() // the list
    first.say(proof)
    expect(codeOf(await first.line())).toBe('WRONG_SECRET')
  })

  it.each([
    ['WRONG_SECRET', greeting({ secret_key: SECRET, native: { version: 4 } })],
    ['WRONG_VERSION', greeting({ secret_key: SECRET, native: { version: 2, nonce: NONCE } })],
    ['WRONG_VERSION', greeting({ secret_key: SECRET, native: null })],
  ])('with %s who says %s', async (code, line) => {
    const { port } = await startRegister({ secretKey: SECRET })
    const peer = await Peer.connect(port)
    peer.say(`${line}\n`)
    expect(codeOf(await peer.line())).toBe(code)
    await peer.closed
  })

  it('for longer than a while who does not prove anything, and goes on pinging', async () => {
    const { log, port } = await startRegister({ authTimeoutMs: 50, secretKey: SECRET })
    const peer = await Peer.connect(port)
    peer.say(`${greeting()}\n`, { event: 'ping' })
    await peer.closed
    expect(log.lines.join()).toContain('within 50 ms')
  })
})

describe('a client does not believe', () => {
  it.each([
    ['a list without a challenge', () => [LIST], 'WRONG_SECRET'],
    [
      'a welcome without a challenge',
      (line: string) => [{ event: 'welcome', proof: proofOf(SECRET, 'register-server', line, '') }],
      'WRONG_SECRET',
    ],
  ])('%s', async (_what, answers, code) => {
    const register = await scripted()
    const watched = watch(register.address)
    const peer = await register.next()
    peer.say(...answers(await peer.line()), LIST)
    expect(await watched.refusal()).toMatchObject({ code })
    expect(watched.lists).toEqual([])
  })

  it.each([
    ['without a proof', () => undefined],
    ['with its own proof', (_line: string, _challenge: string, own: unknown) => own],
    [
      'with a proof of another secret',
      (line: string, challenge: string) => proofOf(WRONG, 'register-server', line, challenge),
    ],
    [
      'with a proof for another client',
      (_line: string, challenge: string) => proofOf(SECRET, 'register-server', greeting(), challenge),
    ],
  ])('a welcome %s', async (_what, proofFor) => {
    const register = await scripted()
    const watched = watch(register.address)
    const peer = await register.next()
    const line = await peer.line()
    const challenge = JSON.stringify({ event: 'challenge', nonce: NONCE })
    peer.say(`${challenge}\n`)
    const { proof } = JSON.parse(await peer.line())
    peer.say({ event: 'welcome', proof: proofFor(line, challenge, proof) }, LIST)
    expect(await watched.refusal()).toMatchObject({ code: 'WRONG_SECRET' })
    expect(watched.lists).toEqual([])
  })

  it('a line beyond 64 KiB before the register has proved itself', async () => {
    const register = await scripted()
    const watched = watch(register.address)
    ;(await register.next()).say(`{"event":"challenge","nonce":"${'x'.repeat(64 * 1024)}`)
    await eventually(() => watched.watcher.problems.length > 0)
    expect(watched.watcher.problems.join()).toContain('longer than 65536 bytes')
  })
})

const said = async (peer: Peer) => JSON.parse(await peer.line())

describe('a register that closes without a word, as PHP does', () => {
  it('is not told the secret, on loopback either, and the error names the option', async () => {
    const register = await scripted()
    const watched = watch(register.address)
    for (let tries = 0; tries < 3; tries += 1) {
      const php = await register.next()
      expect(await said(php)).toMatchObject({ secret_key: false })
      php.socket.end()
    }
    await eventually(() => watched.watcher.problems.length > 0)
    expect(watched.watcher.problems.join()).toContain('set --allow-legacy loopback')
  })

  it('is not told it where one of ours has been, whatever is allowed', async () => {
    const register = await startRegister({ secretKey: SECRET })
    const watched = watch(register.address, { allowLegacy: true })
    await watched.list()
    await register.server.stop()
    const squatter = await scripted('127.0.0.1', register.port)
    watch(register.address, { allowLegacy: 'loopback' })
    for (let tries = 0; tries < 4; tries += 1) {
      const peer = await squatter.next()
      expect(await said(peer)).toMatchObject({ secret_key: false })
      peer.socket.end()
    }
    await eventually(() => watched.watcher.problems.join().includes('restart this process'))
  })
})

describe('with allowLegacy "loopback", a register of PHP', () => {
  const allowLegacy = 'loopback'

  it('is told the secret when it has closed without a word, and at once from then on', async () => {
    const register = await scripted()
    const watched = watch(register.address, { allowLegacy })
    const refuses = await register.next()
    expect(await said(refuses)).toMatchObject({ secret_key: false })
    refuses.socket.end()
    for (let times = 0; times < 2; times += 1) {
      const php = await register.next()
      expect(await said(php)).toMatchObject({ event: 'worker_connect', secret_key: SECRET })
      const addresses = [`10.0.0.1:290${times}`]
      php.say({ event: 'broadcast_addresses', addresses })
      expect(await watched.list()).toContain(addresses[0])
      php.socket.end()
    }
    expect(watched.refusals).toEqual([])
  })

  it('of another secret closes again, and what is wrong is said', async () => {
    const register = await scripted()
    const watched = watch(register.address, { allowLegacy })
    for (const told of [false, SECRET]) {
      const php = await register.next()
      expect(await said(php)).toMatchObject({ secret_key: told })
      php.socket.end()
    }
    await eventually(() => watched.watcher.problems.length > 0)
    expect(watched.watcher.problems.join()).toContain('is the secret key the same')
  })

  it('in whose place one of ours comes is found to be ours, and told nothing in clear any more', async () => {
    const register = await scripted()
    const watched = watch(register.address, { allowLegacy })
    ;(await register.next()).socket.end()
    const ours = await register.next()
    const line = await ours.line()
    const challenge = JSON.stringify({ event: 'challenge', nonce: NONCE })
    ours.say(`${challenge}\n`)
    await ours.line()
    ours.say({ event: 'welcome', proof: proofOf(SECRET, 'register-server', line, challenge) }, LIST)
    expect(await watched.list()).toEqual(LIST.addresses)
    ours.socket.end()
    expect(await said(await register.next())).toMatchObject({ secret_key: false })
  })
})

describeWithHostAddress('beyond loopback', () => {
  const phpGreeting = { event: 'worker_connect', secret_key: SECRET }

  it.each([undefined, 'loopback'] as const)("PHP's register is not told the secret with %s", async (allowLegacy) => {
    const register = await scripted(hostAddress)
    const watched = watch(register.address, { allowLegacy })
    ;(await register.next()).socket.end()
    expect(JSON.parse(await (await register.next()).line())).toMatchObject({ secret_key: false })
    expect(watched.watcher.problems.join()).toContain('--allow-legacy all')
  })

  it("PHP's clients are let in with allowLegacy only", async () => {
    const strict = await startRegister({ host: hostAddress, secretKey: SECRET })
    const peer = await Peer.connect(strict.port, hostAddress)
    peer.say(phpGreeting)
    await peer.closed
    expect([peer.lines, strict.log.lines]).toEqual([
      [],
      [expect.stringContaining('--allow-legacy all would let it in')],
    ])
    const open = await startRegister({ allowLegacy: true, host: hostAddress, secretKey: SECRET })
    const allowed = await Peer.connect(open.port, hostAddress)
    allowed.say(phpGreeting)
    expect(JSON.parse(await allowed.line())).toMatchObject({ event: 'broadcast_addresses' })
  })

  it('who was not heard for a while is gone, and its address with it; who pings is not', async () => {
    const { log, port } = await startRegister({ host: hostAddress, linkTimeoutMs: 200, secretKey: SECRET })
    const silent = await Peer.connect(port, hostAddress)
    await prove(silent, SECRET, greeting({ event: 'gateway_connect', address: '10.0.0.1:2900' }))
    const watcher = await Peer.connect(port, hostAddress)
    const pinging = setInterval(() => watcher.say({ event: 'ping' }), 10)
    onTestFinished(() => clearInterval(pinging))
    await prove(watcher, SECRET)
    expect(JSON.parse(await watcher.line()).event).toBe('welcome')
    expect(JSON.parse(await watcher.line())).toEqual(LIST)
    await silent.closed
    expect(JSON.parse(await watcher.line()).addresses).toEqual([])
    expect(log.lines.filter((line) => line.includes('too long'))).toHaveLength(1)
    expect(watcher.socket.destroyed).toBe(false)
  })
})

describe('with TLS', () => {
  it('a register and its clients come together, and nobody else is let in', async () => {
    const tls = createIdentity()
    const register = await startRegister({ secretKey: SECRET, tls })
    const watched = watch(register.address, { tls })
    expect(await watched.list()).toEqual([])
    const announcer = new RegisterAnnouncer('10.0.0.1:2900', {
      registerAddresses: [register.address],
      secretKey: SECRET,
      tls,
    })
    onTestFinished(() => announcer.close())
    expect(await watched.list()).toEqual(['10.0.0.1:2900'])
    expect(register.log.lines.filter((line) => line.includes('refused'))).toEqual([])
    const plain = watch(register.address)
    const stranger = watch(register.address, { tls: createIdentity() })
    await vi.waitUntil(() => plain.watcher.problems.length > 0 && stranger.watcher.problems.length > 0, {
      timeout: 10_000,
    })
    expect(plain.watcher.problems.join()).toMatch(/TLS|JSON/)
    expect(stranger.watcher.problems.join()).toContain('certificate')
    expect([plain.lists, stranger.lists]).toEqual([[], []])
    expect(register.log.lines.join()).toContain('it does not speak TLS')
    // It has not forgotten the others.
    announcer.close()
    expect(await watched.list()).toEqual([])
  })
})
