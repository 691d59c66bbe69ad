import { describe, expect, it, onTestFinished } from 'vitest'
import { ConsoleCluster } from './console-cluster.ts'
import { freePort } from './free-port.ts'
import { TestClient } from './test-client.ts'

/** Answers what a client says with a version; `bind` and `join` do something before. */
function eventsCode(version: number): string {
  return `import { Gateway } from '@gatewayworker/businessworker'

export async function onMessage(clientId: string, message: string): Promise<void> {
  if (message === 'bind') await Gateway.bindUid(clientId, 'anna')
  if (message === 'join') await Gateway.joinGroup(clientId, 'red')
  await Gateway.sendToCurrentClient({ version: ${version} })
}
`
}

/** Two groups of gateways, on ports of their own, and a group of workers. */
async function configuredCluster(workers = 1): Promise<ConsoleCluster & { urls: string[] }> {
  const [register, web, devices] = [await freePort(), await freePort(), await freePort()]
  const config = `import { defineCluster } from 'gatewayworker'

export default defineCluster({
  secretKey: 'the secret of this cluster',
  registers: [{ listen: '127.0.0.1:${register}' }],
  workers: [{ events: './Events.ts', count: ${workers} }],
  gateways: [
    { listen: 'websocket://127.0.0.1:${web}', name: 'Web', startPort: 0 },
    { listen: 'websocket://127.0.0.1:${devices}', name: 'Devices', startPort: 0 },
  ],
})
`
  const cluster = new ConsoleCluster({
    'Events.ts': eventsCode(1),
    'gatewayworker.config.ts': config,
    'package.json': '{"type":"module"}',
  })
  return Object.assign(cluster, { urls: [web, devices].map((port) => `ws://127.0.0.1:${port}`) })
}

async function connect(url: string): Promise<TestClient> {
  const client = await TestClient.open(url)
  onTestFinished(() => client.socket.terminate())
  return client
}

async function ask(client: TestClient, message: string): Promise<{ version: number }> {
  client.send(message)
  return client.nextJson()
}

describe('a cluster of a config file', () => {
  it('runs in the background, and shows its processes and clients', async () => {
    const cluster = await configuredCluster()
    expect(await cluster.run('start', '-d')).toMatchObject({ code: 0, errors: '' })
    const clients = await Promise.all(cluster.urls.map(connect))
    for (const client of clients) await ask(client, 'bind')
    await ask(clients[1]!, 'join')

    const { processes, total } = JSON.parse((await cluster.run('status', '--json')).text)
    expect(processes.map(({ name }: { name: string }) => name)).toEqual([
      'master',
      'Register',
      'BusinessWorker',
      'Web',
      'Devices',
    ])
    expect(processes.slice(3)).toMatchObject([
      { connections: 1, droppedMessages: 0, poisonEvents: 0, redeliveredEvents: 0, requests: 1, sends: 1 },
      { connections: 1, refused: { connections: 0 }, refusedConnections: 0, requests: 2, sends: 2 },
    ])
    expect(total).toMatchObject({ connections: 2, requests: 3, sends: 3 })

    const all = JSON.parse((await cluster.run('connections', '--json', '--uid', 'anna')).text)
    expect(all).toMatchObject({ total: 2, unanswered: [] })
    const grouped = JSON.parse((await cluster.run('connections', '--json', '--group', 'red')).text)
    expect(grouped.rows).toMatchObject([
      { address: `127.0.0.1:${clients[1]!.localPort}`, groups: 1, uid: 'anna', worker: expect.any(String) },
    ])
    expect(grouped.rows[0].bytesIn).toBeGreaterThan(0)
    expect((await cluster.run('connections', '--ip', '10.0.0.1')).text).toBe('none of 0\n')

    expect((await cluster.run('stop')).text).toMatch(/stopped\n$/)
    expect(await clients[0]!.isClosed()).toMatchObject({ code: 1001 })
  })

  it('reloads changed Events while a client talks, and goes on with the old ones when the new are wrong', async () => {
    const cluster = await configuredCluster(2)
    await cluster.run('start', '-d')
    const client = await connect(cluster.urls[0]!)
    const gateways = [...(await cluster.processes('Web')), ...(await cluster.processes('Devices'))]
    const answers = [await ask(client, 'hello')]

    cluster.folder.write('Events.ts', eventsCode(2))
    const reload = cluster.run('reload')
    let reloading = true
    void reload.then(() => {
      reloading = false
    })
    while (reloading) answers.push(await ask(client, 'hello'))
    expect(await reload).toMatchObject({ code: 0, errors: '' })
    answers.push(await ask(client, 'hello'))
    // One version after the other, without a gap: every question was answered.
    const versions = answers.map(({ version }) => version)
    expect(versions).toEqual(versions.toSorted())
    expect([versions[0], versions.at(-1)]).toEqual([1, 2])

    cluster.folder.write('Events.ts', 'export function onMessage() {\n  const = 1\n}\n')
    const workers = await cluster.processes('BusinessWorker')
    const failed = await cluster.run('reload')
    expect(failed).toMatchObject({ code: 1, errors: expect.stringMatching(/BusinessWorker #0: .*Events\.ts:2:9: /) })
    expect((await cluster.processes('BusinessWorker')).map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid))
    expect(await ask(client, 'hello')).toMatchObject({ version: 2 })
    expect(
      [...(await cluster.processes('Web')), ...(await cluster.processes('Devices'))].map(({ pid }) => pid),
    ).toEqual(gateways.map(({ pid }) => pid))
    await cluster.run('stop')
  })

  it('that was killed with -9 starts again on the same ports', async () => {
    const cluster = await configuredCluster()
    await cluster.run('start', '-d')
    const first = cluster.pid()
    expect(await cluster.run('start', '-d')).toMatchObject({ code: 1, errors: expect.stringContaining(String(first)) })
    const client = await connect(cluster.urls[0]!)
    process.kill(first, 'SIGKILL')
    await client.isClosed()
    expect(await cluster.run('start', '-d')).toMatchObject({ code: 0, errors: '' })
    expect(await ask(await connect(cluster.urls[1]!), 'hello')).toMatchObject({ version: 1 })
    expect(await cluster.run('stop')).toMatchObject({ code: 0 })
  })
})

describe('without a config file', () => {
  it('it is the demo that runs', async () => {
    const [register, clients, lan, page] = [await freePort(), await freePort(), await freePort(), await freePort()]
    const cluster = new ConsoleCluster({})
    const runDir = ['--run-dir', cluster.folder.path('.gatewayworker')]
    const started = await cluster.run(
      'start',
      ...['-d', '--register-address', `127.0.0.1:${register}`, '--listen', `websocket://127.0.0.1:${clients}`],
      ...['--start-port', String(lan), '--port', String(page), ...runDir],
    )
    expect(started).toMatchObject({ code: 0, errors: '' })
    expect(started.text).toContain(`Open http://127.0.0.1:${page}`)
    expect(await (await fetch(`http://127.0.0.1:${page}/`)).text()).toContain('<html')
    const { text } = await cluster.run('status', ...runDir)
    for (const name of ['Register #0', 'ChatWorker #1', 'ChatGateway #1', 'ChatPage #0']) expect(text).toContain(name)
    expect(await cluster.run('stop', ...runDir)).toMatchObject({ code: 0 })
  })
})
