import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { commandOf, helloFrame, LanCommand, lanFrame, proofFrame } from './lan-frame.ts'
import { RawConnection } from './raw-connection.ts'

// Without a secret a first frame may be any command, as PHP's backends say it.
const secretKey = 'the secret'
const cluster = useCluster({ secretKey })

const lanAddress = () => String(cluster.gateways[0]!.child().lan)
const lanPort = () => Number(lanAddress().split(':')[1])
const registerPort = () => Number(cluster.registerAddress.split(':')[1])
/** The same bytes at every run. */
const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number) => fc.sample(arbitrary, { numRuns: count, seed: 20 })

/** What a register can be told is wrong, but no fault of who hears it from there. */
const expectedError = 'the register told an address that is none'

/** Everybody else goes on as if nothing had been. */
afterEach(async () => {
  const client = await cluster.connect()
  client.send('well')
  expect(await client.nextJson()).toMatchObject({ echo: 'well' })
  expect(await cluster.backend().isOnline(client.clientId)).toBe(true)
  for (const program of [cluster.register, ...cluster.gateways, cluster.workers]) {
    const errors = program.lines.filter(({ level }) => level === 'error' || level === 'fatal')
    expect(errors.filter(({ msg }) => msg !== expectedError)).toEqual([])
    expect(program.lines.filter(({ msg }) => msg === 'ready' || msg === 'worker gone')).toHaveLength(1)
  }
})

/** Writes, says that nothing more is to come, and waits for the end. */
async function endWith(port: number, bytes: Uint8Array): Promise<Buffer> {
  const connection = await RawConnection.open(port)
  connection.write(bytes)
  connection.socket.end()
  return connection.isEnded()
}

/** A link that the gateway has let in as a backend's. */
async function openLink(): Promise<RawConnection> {
  const connection = await RawConnection.open(lanPort())
  connection.write(helloFrame(LanCommand.backend, lanAddress()))
  const challenge = await connection.until((received) => commandOf(received) !== undefined)
  connection.write(proofFrame(LanCommand.backend, lanAddress(), secretKey, challenge))
  const { length } = challenge
  const all = await connection.until((received) => commandOf(received.subarray(length)) !== undefined)
  expect(commandOf(all.subarray(length))).toBe(LanCommand.hello)
  return connection
}

describe('on the LAN port', () => {
  it('random bytes end their own connection only', async () => {
    for (const bytes of sample(fc.uint8Array({ minLength: 1, maxLength: 2000 }), 100)) {
      expect(await endWith(lanPort(), bytes)).toHaveLength(0)
    }
  })

  it('a hello that is cut off anywhere is none', async () => {
    const hello = helloFrame(LanCommand.worker, lanAddress())
    for (let length = 0; length < hello.length; length += 5) {
      expect(await endWith(lanPort(), hello.subarray(0, length))).toHaveLength(0)
    }
  })

  it.each([
    ['declares 4 GiB', { command: LanCommand.backend, length: 0xffffffff }],
    ['declares more than a hello may have', { command: LanCommand.backend, length: 16 * 1024 + 1 }],
    ['declares fewer bytes than its header has', { command: LanCommand.backend, length: 27 }],
    ['declares no bytes', { command: LanCommand.backend, length: 0 }],
    ['declares more ext than it has', { command: LanCommand.backend, extLength: 1 }],
    ['is no hello', { command: 77 }],
    ['holds no JSON', { command: LanCommand.worker, body: '{"worker_key":' }],
    ['holds no object', { command: LanCommand.worker, body: 'null' }],
    ['has no version', { command: LanCommand.worker, body: '{"native":{}}' }],
  ])('a first frame that %s ends the connection at once', async (_what, parts) => {
    const connection = await RawConnection.open(lanPort())
    connection.write(lanFrame(parts))
    expect(await connection.isEnded()).toHaveLength(0)
  })

  it.each([
    ['declares 4 GiB', { command: LanCommand.sendToAll, length: 0xffffffff }],
    ['declares more than 10 MiB', { command: LanCommand.sendToAll, length: 10 * 1024 * 1024 + 1 }],
    ['declares fewer bytes than its header has', { command: LanCommand.sendToAll, length: 4 }],
    ['declares more ext than it has', { command: LanCommand.sendToAll, extLength: 0xffffffff }],
  ])('a later frame that %s ends the link at once', async (_what, parts) => {
    const link = await openLink()
    link.write(lanFrame(parts))
    await link.isEnded()
  })

  it('a command that makes no sense is answered with an error, and the link lives', async () => {
    const link = await openLink()
    const { length } = link.received
    const broken = lanFrame({ command: LanCommand.sendToAll, ext: '{"exclude":', body: 'text', id: 7 })
    link.write(broken)
    const answers = await link.until((received) => commandOf(received.subarray(length)) !== undefined)
    expect(answers.subarray(length).toString('latin1')).toContain('BAD_PARAMETERS')
    link.write(lanFrame({ command: LanCommand.isOnline, id: 8 }))
    const before = answers.length
    const answered = await link.until((received) => commandOf(received.subarray(before)) !== undefined)
    expect(answered.subarray(before).readUInt32BE(5)).toBe(8)
    link.socket.destroy()
  })

  it('commands with any parameters at all do no harm', async () => {
    const parts = fc.record({
      body: fc.string({ maxLength: 50 }),
      command: fc.integer({ min: 0, max: 255 }),
      ext: fc.oneof(fc.string({ maxLength: 50 }), fc.json({ maxDepth: 3 })),
      id: fc.constantFrom(0, 1, 0xffffffff),
    })
    const link = await openLink()
    for (const part of sample(parts, 500)) {
      // Said by a gateway and not to one.
      if (part.command >= LanCommand.hello && part.command <= 102) continue
      link.write(lanFrame(part))
    }
    const before = link.received.length
    link.write(lanFrame({ command: LanCommand.isOnline, id: 4242 }))
    await link.until((received) => received.length > before && received.includes(Buffer.from([0, 0, 0x10, 0x92])))
    link.socket.destroy()
  })
})

describe('on the register port', () => {
  it('random bytes end their own connection only', async () => {
    for (const bytes of sample(fc.uint8Array({ minLength: 1, maxLength: 2000 }), 100)) {
      expect(await endWith(registerPort(), bytes)).toHaveLength(0)
    }
  })

  it.each([
    ['is no JSON', '{"event":\n'],
    ['is no object', '[1,2]\n'],
    ['has no event', '{"address":"127.0.0.1:1"}\n'],
    ['has an unknown event', '{"event":"shutdown"}\n'],
    ['announces no address', `{"event":"gateway_connect","secret_key":"${secretKey}"}\n`],
    ['never ends', 'x'.repeat(64 * 1024 + 1)],
  ])('a line that %s ends the connection at once', async (_what, line) => {
    const logged = cluster.register.next({ msg: /^a register connection was closed/, level: 'warn' })
    const connection = await RawConnection.open(registerPort())
    connection.write(line)
    expect(await connection.isEnded()).toHaveLength(0)
    await logged
  })

  it('an address that is none is skipped by whoever hears of it', async () => {
    const connection = await RawConnection.open(registerPort())
    const skipped = cluster.workers.next({ msg: expectedError, gateway: 'not an address' })
    connection.write(`{"event":"gateway_connect","address":"not an address","secret_key":"${secretKey}"}\n`)
    await skipped
    expect(await cluster.newBackend().getAllGroupIdList()).toEqual([])
    const offline = cluster.register.next({ msg: 'gateway offline', gateway: 'not an address' })
    connection.socket.destroy()
    await offline
  })
})
