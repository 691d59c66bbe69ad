import { expect, it } from 'vitest'
import { startCluster } from './cluster.ts'
import { freePort } from './free-port.ts'

it('a register that is killed comes back, and everybody finds everybody again', async () => {
  const cluster = await startCluster({ gateways: 2, registerListen: `127.0.0.1:${await freePort()}`, workers: 2 })
  const clients = [await cluster.connect(0), await cluster.connect(1)]
  const backend = cluster.backend()
  expect(await backend.getAllClientIdCount()).toBe(2)

  const online = cluster.gateways.map((gateway) => {
    return cluster.register.next({ msg: 'gateway online', gateway: gateway.child().lan })
  })
  const revived = cluster.register.killChild()
  // The data plane does not need it.
  expect(await backend.sendToAll('pushed', null, null, { receipt: true })).toMatchObject({ delivered: 2 })
  for (const client of clients) {
    expect(await client.next()).toBe('pushed')
    client.send('echoed')
    expect(await client.nextJson()).toMatchObject({ echo: 'echoed' })
  }
  await revived
  await Promise.all(online)
  expect(await cluster.newBackend().getAllClientIdCount()).toBe(2)

  const newcomer = await cluster.startGateway()
  await newcomer.line({ msg: 'worker linked', workers: 2 })
  await cluster.connect(2)
  expect(await backend.getAllClientIdCount()).toBe(3)
})

it('a gateway that is started while the register is away is found when the register is there', async () => {
  const cluster = await startCluster({ registerListen: `127.0.0.1:${await freePort()}` })
  const backend = cluster.backend()
  const ann = await cluster.connect(0)
  expect(await backend.getAllClientIdCount()).toBe(1)

  await cluster.register.stop()
  const newcomer = await cluster.startGateway()
  await newcomer.line({ msg: /^the register is away/ })
  ann.send('still here')
  expect(await ann.nextJson()).toMatchObject({ echo: 'still here' })

  await cluster.startRegister()
  await newcomer.line({ msg: 'worker linked' })
  const ben = await cluster.connect(1)
  ben.send('here, too')
  expect(await ben.nextJson()).toMatchObject({ echo: 'here, too' })
  expect(await cluster.newBackend().getAllClientIdCount()).toBe(2)
})

it('a second register is enough', async () => {
  const second = await startCluster({ gateways: 0, workers: 0 })
  const both = ['--register-address', second.registerAddress]
  const cluster = await startCluster({ gatewayArgs: both, workerArgs: both })
  await cluster.register.stop()
  const newcomer = await cluster.startGateway()
  await newcomer.line({ msg: 'worker linked' })
  const client = await cluster.connect(1)
  const backend = second.backend()
  expect(await backend.isOnline(client.clientId)).toBe(true)
})
