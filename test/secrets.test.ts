import { afterAll, describe, expect, it } from 'vitest'
import { useCluster } from './cluster.ts'
import { commandOf, helloFrame, LanCommand, lanFrame, proofFrame } from './lan-frame.ts'
import type { Program } from './program.ts'
import { RawConnection } from './raw-connection.ts'

const secretKey = 'the-right-secret'
const wrong = ['--secret-key', 'a-wrong-secret']
const cluster = useCluster({ secretKey })

const lanPort = () => String(cluster.gateways[0]!.child().lan).split(':')[1]!

/** The register's line about somebody whom it did not let in. */
const refusedByRegister = () => cluster.register.next({ msg: /secret key (is (missing or )?wrong|was given)/ })
const refusedByGateway = () => cluster.gateways[0]!.next({ msg: /secret key is (missing or )?wrong/ })

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
    connection.write(helloFrame(command))
    const challenge = await connection.until((received) => commandOf(received) === LanCommand.challenge)
    const push = lanFrame({ command: LanCommand.sendToAll, body: 'pushed' })
    connection.write(Buffer.concat([proofFrame(command, 'a-wrong-secret', challenge), push]))
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
