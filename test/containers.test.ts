import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { Cluster, fixture, scripts } from './cluster.ts'
import { describeWithNetworks } from './namespaces.ts'
import { Network } from './network.ts'
import { describeWithPhp } from './php.ts'
import type { Program } from './program.ts'

const CLIENT_PORT = 7272
const LAN_PORT = 2900
/** What two processes may take to start, or to stop, on a busy machine. */
const PATIENCE_MS = 25_000
const ALLOW_PHP = ['--allow-legacy', 'all']

/** A register, a gateway in a container that publishes its ports at a host, and two containers for workers behind the address of another host. */
class ContainerCluster extends Cluster {
  network!: Network

  override get registerAddress(): string {
    return `${this.network.host('register').address}:1236`
  }

  override async start(): Promise<void> {
    this.network = await Network.open(['register', 'gateways', 'workers'])
    await this.network.addContainer('gateway', this.network.host('gateways'), [CLIENT_PORT, LAN_PORT])
    for (const name of ['worker0', 'worker1']) {
      await this.network.addContainer(name, this.network.host('workers'))
    }
    const listen = ['--listen', this.registerAddress, ...ALLOW_PHP]
    this.register = await this.run(scripts.register, listen, this.network.host('register')).ready()
    await this.startGateway()
  }

  override async startGateway(): Promise<Program> {
    const inside = ['--listen', `websocket://0.0.0.0:${CLIENT_PORT}`, '--lan-listen', '0.0.0.0']
    const outside = ['--lan-ip', this.network.host('gateways').address, '--start-port', String(LAN_PORT)]
    const args = [...inside, ...outside, ...ALLOW_PHP, '--register-address', this.registerAddress]
    const gateway = this.run(scripts.gateway, args, this.network.host('gateway'))
    this.gateways.push(gateway)
    return gateway.ready()
  }

  override url(): string {
    return `ws://${this.network.host('gateways').address}:${CLIENT_PORT}`
  }

  override async stop(): Promise<void> {
    try {
      await super.stop()
    } finally {
      await this.network?.close()
    }
  }
}

describeWithNetworks('containers behind the addresses of their hosts', () => {
  const cluster = new ContainerCluster({ secretKey: 'the secret of this cluster' })
  beforeAll(() => cluster.start())
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') cluster.printLogs()
  })
  afterAll(() => cluster.stop())

  it(
    'are a cluster: two workers with the same name, number and address both serve',
    () => expectBothToServe(scripts.businessworker, fixture('hosts.ts')),
    2 * PATIENCE_MS,
  )

  describeWithPhp('with PHP', () => {
    it(
      'are a cluster, too',
      () => expectBothToServe('test/php/worker.php', fixture('../php/Events.php')),
      2 * PATIENCE_MS,
    )
  })

  async function expectBothToServe(script: string, events: string): Promise<void> {
    const gateway = cluster.gateways[0]!
    const before = gateway.lines.length
    const args = ['--events', events, '--name', 'Same', script.endsWith('.php') ? '--register' : '--register-address']
    const linked = gateway.next({ msg: 'worker linked', workers: 2 }, PATIENCE_MS)
    const hosts = [cluster.network.host('worker0'), cluster.network.host('worker1')]
    const workers = hosts.map((host) => cluster.run(script, [...args, cluster.registerAddress], host))
    await linked
    const clients = [await cluster.connect(), await cluster.connect()]
    expect(new Set(clients.map(({ workerPid }) => workerPid)).size).toBe(2)
    for (const client of clients) {
      client.send('still the same?')
      expect(String(await client.next())).toContain('still the same?')
    }
    expect(gateway.lines.slice(before).filter(({ msg }) => msg === 'worker gone')).toEqual([])
    await Promise.all(clients.map((client) => client.close()))

    const gone = gateway.next({ msg: 'worker gone', workers: 0 }, PATIENCE_MS)
    for (const worker of workers) await worker.stop()
    await gone
  }
})
