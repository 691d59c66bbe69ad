import { expect, it, onTestFailed, onTestFinished } from 'vitest'
import { freePort } from './free-port.ts'
import { describeWithPhp, PhpCluster, usePhpCluster } from './php.ts'

describeWithPhp("with PHP's register, our processes", () => {
  const cluster = usePhpCluster({ gateways: 2, phpRegister: true, secretKey: 'the secret of this cluster' })

  it('find each other', async () => {
    const [ann, ben] = [await cluster.connect(0), await cluster.connect(1)]
    ann.send('text')
    expect(await ann.nextJson()).toMatchObject({ count: 1, echo: 'text' })
    const receipt = await cluster.backend().sendToAll('push', null, ann.clientId, { receipt: true })
    expect(receipt).toEqual({ delivered: 1, slow: 0, unanswered: [] })
    expect(await ben.next()).toBe('push')
    expect(await cluster.php('return Gateway::getAllClientIdCount();')).toBe(2)
  })

  it('hear of a gateway that comes later', async () => {
    // This backend has asked the register before.
    expect(await cluster.backend().getAllClientIdCount()).toBe(0)
    const gateway = await cluster.startGateway()
    await gateway.line({ msg: 'worker linked' })
    const client = await cluster.connect(2)
    client.send('text')
    expect(await client.nextJson()).toMatchObject({ echo: 'text' })
    expect(await cluster.newBackend().getAllClientIdList()).toEqual([client.clientId])
    expect(await cluster.backend().isOnline(client.clientId)).toBe(true)
  })

  it.each(['wrong', ''])('with the secret "%s" learn nothing from it', async (secretKey) => {
    const backend = cluster.newBackend({ deadlineMs: 500, secretKey })
    await expect(backend.getAllClientIdCount()).rejects.toMatchObject({
      code: 'NO_REGISTER',
      message: expect.stringContaining('is the secret key the same'),
    })
  })
})

describeWithPhp("when PHP's register is killed", () => {
  it('our processes go on, and announce themselves again when it is back', async () => {
    const cluster = new PhpCluster({ gateways: 1, phpRegister: true, registerListen: `127.0.0.1:${await freePort()}` })
    onTestFailed(() => cluster.printLogs())
    onTestFinished(() => cluster.stop())
    await cluster.start()
    const client = await cluster.connect()
    const backend = cluster.backend()
    expect(await backend.isOnline(client.clientId)).toBe(true)

    cluster.register.kill('SIGKILL')
    await cluster.register.exited
    client.send('without a register')
    expect(await client.nextJson()).toMatchObject({ echo: 'without a register' })
    await backend.sendToClient(client.clientId, 'push')
    expect(await client.next()).toBe('push')

    const register = await cluster.startRegister()
    await register.line({ msg: 'gateway online', gateways: 1 })
    const gateway = await cluster.startGateway()
    await gateway.line({ msg: 'worker linked' })
    expect(await cluster.newBackend().getAllClientIdList()).toEqual([client.clientId])
  })
})
