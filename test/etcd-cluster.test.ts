import { expect, it, onTestFinished } from 'vitest'
import { startCluster } from './cluster.ts'
import { ConsoleCluster } from './console-cluster.ts'
import { describeWithEtcd, Etcd } from './etcd.ts'
import { freePort } from './free-port.ts'

describeWithEtcd('a cluster on etcd, with no register', () => {
  it('goes on without it, and who comes meanwhile is found when it is back', async () => {
    const etcd = await Etcd.start()
    onTestFinished(() => etcd.remove())
    const cluster = await startCluster({
      registerAddress: etcd.address('shop'),
      secretKey: 'the secret of this cluster',
    })
    const client = await cluster.connect(0)
    const backend = cluster.backend()
    expect(await backend.getAllClientIdCount()).toBe(1)

    await etcd.stop()
    const newcomer = await cluster.startGateway()
    await newcomer.line({ msg: /^etcd is away/ })
    expect(await backend.sendToAll('pushed', null, null, { receipt: true })).toMatchObject({ delivered: 1 })
    expect(await client.next()).toBe('pushed')
    client.send('echoed')
    expect(await client.nextJson()).toMatchObject({ echo: 'echoed' })

    await etcd.start()
    await newcomer.line({ msg: 'worker linked' })
    await cluster.connect(1)
    expect(await cluster.newBackend().getAllClientIdCount()).toBe(2)
    expect(await backend.getAllClientIdCount()).toBe(2)

    await newcomer.stop()
    // Were it still listed, this would wait for it, and reject.
    expect(await cluster.newBackend().getAllClientIdCount()).toBe(1)
  })

  it('is one of a config file, and its state told without the password', async () => {
    const port = await freePort()
    const user = new ConsoleCluster({
      'Events.mjs': 'export function onMessage() {}\n',
      'gatewayworker.config.json': JSON.stringify({
        gateways: [{ listen: 'websocket://127.0.0.1:0', startPort: 0 }],
        registerAddress: `etcd://ann:hunter2@127.0.0.1:${port}/shop`,
        workers: [{ events: './Events.mjs' }],
      }),
    })
    expect(await user.run('start', '-d', '--ready-timeout', '1')).toMatchObject({ code: 4 })
    const { code, errors } = await user.run('ready')
    expect(code).toBe(1)
    expect(errors).toMatch(/Gateway #0: no register answers: etcd:\/\/127.0.0.1:\d+\/shop: .*ECONNREFUSED/)
    expect(errors).toMatch(/BusinessWorker #0: no register has answered: etcd:/)
    expect(errors + user.log).not.toContain('hunter2')
  })
})
