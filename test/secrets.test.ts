import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { fixture, scripts, useCluster } from './cluster.ts'
import { commandOf, helloFrame, LanCommand, lanFrame, proofFrame } from './lan-frame.ts'
import type { Program } from './program.ts'
import { RawConnection } from './raw-connection.ts'

const secretKey = 'the-right-secret'
const wrong = ['--secret-key', 'a-wrong-secret']
const cluster = useCluster({ secretKey })

const lanAddress = () => String(cluster.gateways[0]!.child().lan)
const lanPort = () => lanAddress().split(':')[1]!

/** The register's line about somebody whom it did not let in: the first of this host is logged, and those that follow are counted. */
const refusedByRegister = () => cluster.register.line({ msg: /secret key (is (missing or )?wrong|was given)/ })
const refusedByGateway = () => cluster.gateways[0]!.line({ msg: /secret key is (missing or )?wrong/ })

afterAll(() => {
  for (const { text } of [cluster.register, ...cluster.gateways, cluster.workers] as Program[]) {
    expect(text).not.toContain(secretKey)
    expect(text).not.toContain(wrong[1])
  }
})

describe('with the right secret', () => {
  it('everything works', async () => {
    const client = await cluster.connect()
    client.send('hello')
    expect(await client.nextJson()).toMatchObject({ echo: 'hello' })
    expect(await cluster.backend().isOnline(client.clientId)).toBe(true)
  })
})

describe('with a wrong secret', () => {
  it.each([
    ['a wrong', 'a-wrong-secret'],
    ['no', ''],
  ])('a backend with %s secret learns nothing and is told what to look for', async (_what, secretKey) => {
    const refused = refusedByRegister()
    const backend = cluster.newBackend({ deadlineMs: 20_000, secretKey })
    await expect(backend.getAllClientIdList()).rejects.toMatchObject({
      advice: expect.stringContaining('secret'),
      code: 'WRONG_SECRET',
    })
    expect(await refused).toMatchObject({ level: 'warn' })
  })

  it('a gateway is not found, and both logs say why', async () => {
    const online = await cluster.backend().getAllClientIdCount()
    const refused = refusedByRegister()
    const gateway = await cluster.startGateway(wrong)
    await refused
    await gateway.line({ level: 'warn', msg: /register is away.*secret key/ })
    // Its clients are not served, and nobody sees it.
    const client = await cluster.open(1)
    client.send('hello')
    expect(await cluster.newBackend().getAllClientIdCount()).toBe(online)
    await gateway.stop()
    expect(client.waiting).toBe(0)
    cluster.gateways.pop()
  })

  it('a worker is linked to nobody, and both logs say why', async () => {
    const refused = refusedByRegister()
    const right = cluster.workers
    const wronged = await cluster.startWorkers(wrong)
    cluster.workers = right
    await refused
    await wronged.line({ level: 'warn', msg: /register is away.*secret key/ })
    expect(cluster.gateways[0]!.lines.filter(({ msg }) => msg === 'worker linked')).toHaveLength(1)
    await wronged.stop()
  })

  it.each([
    ['a worker', LanCommand.worker],
    ['a backend', LanCommand.backend],
  ])('%s gets no further than the first frames on the LAN port', async (_who, command) => {
    const client = await cluster.connect()
    const refused = refusedByGateway()
    const connection = await RawConnection.open(lanPort())
    connection.write(helloFrame(command, lanAddress()))
    const challenge = await connection.until((received) => commandOf(received) === LanCommand.challenge)
    const push = lanFrame({ command: LanCommand.sendToAll, body: 'pushed' })
    connection.write(Buffer.concat([proofFrame(command, lanAddress(), 'a-wrong-secret', challenge), push]))
    expect(commandOf((await connection.isEnded()).subarray(challenge.length))).toBe(LanCommand.refused)
    await refused
    client.send('hello')
    expect(await client.nextJson()).toMatchObject({ echo: 'hello' })
  })

  it.each([
    ['a worker', LanCommand.worker, 'a-wrong-secret'],
    ['a backend', LanCommand.backend, 'a-wrong-secret'],
    ['a backend without one', LanCommand.backend, ''],
  ])('%s of PHP gets no further than the first frame, and is told nothing', async (_who, command, secret_key) => {
    const client = await cluster.connect()
    const refused = refusedByGateway()
    const connection = await RawConnection.open(lanPort())
    // The command is in the same segment, as PHP sends it.
    const push = lanFrame({ command: LanCommand.sendToAll, body: 'pushed' })
    connection.write(Buffer.concat([lanFrame({ command, body: JSON.stringify({ secret_key }) }), push]))
    expect(await connection.isEnded()).toHaveLength(0)
    await refused
    client.send('hello')
    expect(await client.nextJson()).toMatchObject({ echo: 'hello' })
  })

  it('a command in place of the hello ends the connection, and is not carried out', async () => {
    const client = await cluster.connect()
    const connection = await RawConnection.open(lanPort())
    connection.write(lanFrame({ command: LanCommand.sendToAll, body: 'pushed' }))
    expect(await connection.isEnded()).toHaveLength(0)
    client.send('hello')
    expect(await client.nextJson()).toMatchObject({ echo: 'hello' })
  })

  it.each(['gateway_connect', 'worker_connect'])('%s at the register is told nothing', async (event) => {
    const refused = refusedByRegister()
    const connection = await RawConnection.open(cluster.registerAddress.split(':')[1]!)
    connection.write(`${JSON.stringify({ event, address: '127.0.0.1:9', secret_key: 'a-wrong-secret' })}\n`)
    expect(await connection.isEnded()).toHaveLength(0)
    await refused
  })
})

describe('whoever holds the port of a register that is away', () => {
  /** Notes what comes, and closes without a word, as PHP's register does with a secret that is not its own. */
  async function squat() {
    const said: string[] = []
    const server = createServer((socket) => {
      socket.on('error', () => {})
      createInterface(socket)
        .on('error', () => {})
        .on('line', (line) => {
          said.push(line)
          socket.end()
        })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, said }
  }

  it('is not told the secret, on loopback either; the log names the option for PHP', async () => {
    const { address, said } = await squat()
    const args = ['--events', fixture('remote-control.ts'), '--register-address', address]
    const worker = cluster.run(scripts.businessworker, args)
    const { msg } = await worker.line({ level: 'warn', msg: /the register is away/ })
    expect(msg).toContain('set --allow-legacy loopback')
    await vi.waitUntil(() => said.length >= 3, { timeout: 10_000 })
    for (const line of said) expect(JSON.parse(line)).toMatchObject({ event: 'worker_connect', secret_key: false })
    await worker.stop()
  })

  it('is told it with --allow-legacy loopback', async () => {
    const { address, said } = await squat()
    const args = ['--events', fixture('remote-control.ts'), '--register-address', address]
    const worker = cluster.run(scripts.businessworker, [...args, '--allow-legacy', 'loopback'])
    await worker.line({ level: 'warn', msg: /the register is away/ })
    expect(said.join()).toContain(secretKey)
    await worker.stop()
  })
})

it('a stranger that comes again and again is logged once, and then counted', async () => {
  const wrongLine = `${JSON.stringify({ event: 'worker_connect', secret_key: 'a-wrong-secret' })}\n`
  const counted = cluster.register.next({ msg: /missing or wrong \(repeated: \d+ times\)/ }, 30_000)
  for (let times = 0; times < 200; times += 1) {
    const connection = await RawConnection.open(cluster.registerAddress.split(':')[1]!)
    connection.write(wrongLine)
    await connection.isEnded()
  }
  expect((await counted).times).toBeGreaterThan(0)
  const lines = cluster.register.lines.filter(({ msg }) => msg?.includes('secret key is missing or wrong'))
  expect(lines.length).toBeLessThan(10)
}, 40_000)
