import { once } from 'node:events'
import { chmodSync, mkdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scripts } from './cluster.ts'
import { ConsoleCluster } from './console-cluster.ts'
import { freePort } from './free-port.ts'
import { Program } from './program.ts'

interface Finding {
  code: string
  fix: string
  severity: 'problem' | 'warning'
  what: string
  where: string[]
}

/** What a call of doctor found, and how it ended. */
interface Diagnosis {
  checks: string[]
  codes: string[]
  exitCode: number
  findings: Finding[]
  /** The finding with a code; throws if there is none. */
  of(code: string): Finding
}

const goodEvents = 'export function onMessage() {}\n'

async function diagnose(cluster: ConsoleCluster, args: string[] = [], line = 'true'): Promise<Diagnosis> {
  const { code, errors, text } = await cluster.runAfter(line, 'doctor', '--json', ...args)
  expect(errors).toBe('')
  const { checks, findings } = JSON.parse(text) as Pick<Diagnosis, 'checks' | 'findings'>
  const of = (code: string): Finding => {
    const found = findings.find((finding) => finding.code === code)
    if (found === undefined) throw new Error(`no ${code} in ${text}`)
    return found
  }
  return { checks, codes: findings.map((finding) => finding.code).sort(), exitCode: code, findings, of }
}

/** A folder with a config file and Events. */
function configured(config: object, files: Record<string, string> = {}): ConsoleCluster {
  const written = { 'Events.mjs': goodEvents, 'gatewayworker.config.json': JSON.stringify(config), ...files }
  return new ConsoleCluster(written)
}

async function twoGroups(): Promise<object> {
  const [one, other] = [await freePort(), await freePort()]
  return {
    gateways: [
      { listen: `websocket://127.0.0.1:${await freePort()}`, name: 'Web', startPort: 0 },
      { listen: `websocket://127.0.0.1:${await freePort()}`, name: 'Devices', startPort: 0 },
    ],
    registers: [{ listen: `127.0.0.1:${one}` }, { listen: `127.0.0.1:${other}` }],
    secretKey: 'the secret of this cluster',
    workers: [{ events: './Events.mjs' }],
  }
}

describe('nothing is found', () => {
  it('in a config file with two registers and two groups, before it is started', async () => {
    expect(await diagnose(configured(await twoGroups()))).toMatchObject({ exitCode: 0, findings: [] })
  })

  it('while that runs', async () => {
    const cluster = configured(await twoGroups())
    await cluster.run('start', '-d')
    const running = await diagnose(cluster)
    expect(running).toMatchObject({ exitCode: 0, findings: [] })
    for (const name of ['Register1 #0', 'BusinessWorker #0', 'Web #0', 'Devices #0']) {
      expect(running.checks).toContain(`${name}: runs`)
    }
  })

  it('in the demo', async () => {
    const demo = new ConsoleCluster({})
    const listen = ['--listen', `websocket://127.0.0.1:${await freePort()}`, '--start-port', '0']
    const ports = ['--register-address', `127.0.0.1:${await freePort()}`, '--port', String(await freePort())]
    const { code, text } = await demo.run('doctor', ...listen, ...ports)
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/^no problem found: \d+ checks\n$/) })
  })
})

describe('before a start', () => {
  it('ports that are taken, needed twice, too high or of another host are named', async () => {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const { port: taken } = server.address() as AddressInfo
    const [register, lan] = [await freePort(), await freePort()]
    const { exitCode, findings, of } = await diagnose(
      configured({
        gateways: [
          { count: 2, listen: `websocket://127.0.0.1:${taken}`, name: 'Web', startPort: lan },
          { listen: 'websocket://203.0.113.9:29998', name: 'Devices', startPort: lan + 1 },
          { count: 2, listen: `websocket://127.0.0.1:${await freePort()}`, name: 'High', startPort: 65_535 },
        ],
        registers: [{ listen: `127.0.0.1:${register}` }],
        workers: [{ events: './Events.mjs' }],
      }),
    )
    expect(exitCode).toBe(1)
    expect(of('GW-PORT-TAKEN').what).toContain(`127.0.0.1:${taken}, where Web is to listen, is taken by`)
    expect(of('GW-PORT-TAKEN').what).toContain(`pid ${process.pid}`)
    expect(of('GW-PORT-CLASH').what).toContain(`Port ${lan + 1} is there once only: Web and Devices both need it`)
    expect(of('GW-PORT-CLASH').fix).toContain('"startPort" in gateways[1] of ')
    expect(of('GW-PORT-RANGE').what).toContain('High would need port 65536')
    expect(of('GW-ADDRESS-FOREIGN').what).toContain('203.0.113.9:29998, where Devices is to listen')
    // The port of the server and 65535 are of those that the system hands out, too.
    expect(of('GW-PORT-EPHEMERAL').what).toContain(`Port ${taken} of Web`)
    const others = findings.filter(({ code }) => code !== 'GW-PORT-EPHEMERAL')
    expect(others).toHaveLength(4)
  })

  it('what is wrong with Events is named, and no such code does any harm', async () => {
    const files = {
      'empty.mjs': 'export const onMessage = 5\n',
      'exits.mjs': 'process.exit(7)\n',
      'misspelt.mjs': 'export function onmessage() {}\nexport function onConnect() {}\n',
      'syntax.ts': 'export function onMessage( {\n',
      'throws.mjs': "console.log('{')\nthrow new Error('no database')\n",
    }
    const workers = Object.keys(files).map((file) => ({ events: `./${file}`, name: file }))
    const cluster = configured({ registers: [{ listen: `127.0.0.1:${await freePort()}` }], workers }, files)
    const { codes, findings, of } = await diagnose(cluster)
    expect(codes).toEqual([
      'GW-CHECK-FAILED',
      'GW-EVENTS-EMPTY',
      'GW-EVENTS-FAILS',
      'GW-EVENTS-FAILS',
      'GW-EVENTS-NAME',
    ])
    expect(of('GW-EVENTS-EMPTY').where).toEqual(['empty.mjs'])
    expect(of('GW-CHECK-FAILED')).toMatchObject({ what: expect.stringContaining('code 7'), where: ['exits.mjs'] })
    expect(of('GW-EVENTS-NAME').what).toMatch(/misspelt\.mjs exports onmessage, .*; onMessage is/)
    const failed = findings.filter(({ code }) => code === 'GW-EVENTS-FAILS').map(({ what }) => what)
    expect(failed).toEqual([expect.stringMatching(/syntax\.ts:\d/), expect.stringContaining('no database')])
  })

  it('options that do not fit together are named: an address that leads nowhere, no secret, no register, no router', async () => {
    const gateways = [
      // A register elsewhere says that there are others who have to reach it.
      { lanIp: '127.0.0.1', listen: `websocket://127.0.0.1:${await freePort()}`, name: 'Hidden', startPort: 0 },
      {
        lanIp: '127.0.0.1',
        lanListen: '0.0.0.0',
        listen: `websocket://127.0.0.1:${await freePort()}`,
        name: 'Open',
        registerAddress: ['no-such-host.invalid:1236', 'etcd://127.0.0.1:1'],
        router: './Events.mjs',
        startPort: 0,
      },
    ]
    const { codes, of } = await diagnose(configured({ gateways, registerAddress: '203.0.113.9:1236' }))
    // What becomes of connections to an address for documentation is up to the network.
    expect(codes.filter((code) => !code.startsWith('GW-REGISTER-'))).toEqual([
      'GW-DNS',
      'GW-ETCD-FAILS',
      'GW-LAN-IP-WRONG',
      'GW-OPTION-WRONG',
      'GW-SECRET-MISSING',
    ])
    expect(of('GW-ETCD-FAILS').what).toContain('etcd://127.0.0.1:1')
    expect(of('GW-LAN-IP-WRONG')).toMatchObject({ what: expect.stringContaining('127.0.0.1'), where: ['Hidden'] })
    expect(of('GW-OPTION-WRONG').what).toContain('must export a function')
    expect(of('GW-SECRET-MISSING').where).toEqual(['Open'])
  })

  it('limits and folders in the way are named', async () => {
    const cluster = configured({ registers: [{ listen: `127.0.0.1:${await freePort()}` }] })
    mkdirSync(cluster.folder.path('.gatewayworker'))
    chmodSync(cluster.folder.path('.gatewayworker'), 0o755)
    const args = ['--log-file', cluster.folder.path('missing/gatewayworker.log')]
    const { codes, of } = await diagnose(cluster, args, 'ulimit -n 512')
    expect(codes).toEqual(['GW-FILES-LOW', 'GW-LOG-FILE', 'GW-RUN-FOLDER'])
    expect(of('GW-FILES-LOW').what).toContain('512 files')
    expect(of('GW-RUN-FOLDER').what).toContain('open to other users')
  })

  it('a mistake in the config file is named, and wrong flags are not taken for one', async () => {
    const cluster = configured({ gateways: [{ lisen: 'x' }] })
    expect(await diagnose(cluster)).toMatchObject({ codes: ['GW-CONFIG-WRONG'], exitCode: 1 })
    expect(await cluster.run('doctor', '--jsn')).toMatchObject({ code: 2, text: '' })
  })
})

describe('while it runs', () => {
  it('what each process finds is named: a gateway out of reach, one without a word, a config file that would not start', async () => {
    const register = await freePort()
    const [one, other] = [await freePort(), await freePort()]
    const gateway = (name: string, port: number) => ({ listen: `websocket://127.0.0.1:${port}`, name, startPort: 0 })
    const cluster = configured({
      // The whole of 127.0.0.0/8 is this host, and it listens at another address of it.
      gateways: [gateway('Seen', one), { ...gateway('Hidden', other), lanIp: '127.0.0.2', lanListen: '127.0.0.1' }],
      registers: [{ listen: `127.0.0.1:${register}` }],
      workers: [{ events: './Events.mjs' }],
    })
    await cluster.run('start', '-d')
    const { codes, of } = await diagnose(cluster)
    expect(codes).toEqual(['GW-GATEWAY-UNREACHABLE'])
    expect(of('GW-GATEWAY-UNREACHABLE').what).toMatch(/The gateway 127\.0\.0\.2:\d+ cannot be reached/)
    expect(of('GW-GATEWAY-UNREACHABLE').where).toEqual(['BusinessWorker #0', 'Hidden #0'])

    const [seen] = await cluster.processes('Seen')
    process.kill(seen.pid, 'SIGSTOP')
    cluster.folder.write('gatewayworker.config.json', '{')
    const worse = await diagnose(cluster)
    process.kill(seen.pid, 'SIGCONT')
    expect(worse.of('GW-PROCESS-SILENT').where).toEqual(['Seen #0'])
    expect(worse.of('GW-CONFIG-WRONG').fix).toContain('a restart would fail')
  })

  it('programs of one kind are asked by their run folder, or looked at as by a backend: gateways without workers', async () => {
    const user = new ConsoleCluster({})
    const registerPort = await freePort()
    const register = new Program(scripts.register, ['--listen', `127.0.0.1:${registerPort}`])
    const runDir = user.folder.path('run')
    const listen = ['--listen', 'websocket://127.0.0.1:0', '--start-port', '0', '--run-dir', runDir]
    const gateway = new Program(scripts.gateway, [...listen, '--register-address', `127.0.0.1:${registerPort}`])
    onTestFinished(async () => void (await Promise.all([gateway.killAll(), register.killAll()])))
    await Promise.all([register.ready(), gateway.ready()])
    const { codes, of } = await diagnose(user, ['--run-dir', runDir])
    expect(codes).toEqual(['GW-NO-WORKER'])
    expect(of('GW-NO-WORKER').where).toEqual(['Gateway #0'])
    const backend = ['--as-backend-of', `127.0.0.1:${registerPort}`]
    const { code, text } = await user.run('doctor', ...backend)
    expect(code).toBe(1)
    expect(text).toMatch(
      /^problem GW-NO-WORKER {2}this host\n {2}No worker is linked .*\n\n1 problem found: \d+ checks\n$/s,
    )
  })
})
