import { describe, expect, it, onTestFinished } from 'vitest'
import { scripts } from './cluster.ts'
import { ConsoleCluster } from './console-cluster.ts'
import { freePort } from './free-port.ts'
import { Program } from './program.ts'

interface Config {
  count?: number
  registerAddress: string
  secretKey: string
}

/** A gateway and workers of a config file, whose register is elsewhere. */
class Host extends ConsoleCluster {
  readonly registerAddress: string
  readonly #clientPort: number

  private constructor(registerPort: number, clientPort: number) {
    super({ 'Events.mjs': 'export function onMessage() {}\n' })
    this.registerAddress = `127.0.0.1:${registerPort}`
    this.#clientPort = clientPort
    this.configure({ secretKey: 'S' })
  }

  static async create(): Promise<Host> {
    return new Host(await freePort(), await freePort())
  }

  configure({ count = 1, registerAddress = this.registerAddress, secretKey }: Partial<Config>): void {
    const config = {
      gateways: [{ listen: `websocket://127.0.0.1:${this.#clientPort}`, startPort: 0 }],
      registerAddress,
      secretKey,
      workers: [{ count, events: './Events.mjs' }],
    }
    this.folder.write('gatewayworker.config.json', JSON.stringify(config))
  }

  async startRegister(secretKey: string): Promise<void> {
    const register = new Program(scripts.register, ['--listen', this.registerAddress, '--secret-key', secretKey])
    onTestFinished(() => register.killAll())
    await register.ready()
  }
}

describe('a start in the background', () => {
  it('says which processes are not linked without a register, and they are when it comes', async () => {
    const host = await Host.create()
    const started = await host.run('start', '-d', '--ready-timeout', '1')
    expect(started.code).toBe(4)
    expect(started.text).toMatch(/BusinessWorker +none +1 +\[NOT LINKED\]/)
    expect(started.text).toMatch(/Gateway +websocket:\S+ +1 +\[NOT LINKED\]/)
    expect(started.text).toMatch(/^BusinessWorker #0: no register has answered: .*ECONNREFUSED/m)
    expect(started.text).toMatch(/^Gateway #0: no register answers: .*ECONNREFUSED/m)
    expect(started.text).not.toContain('[OK]')
    expect(await host.run('status')).toMatchObject({ code: 4 })

    await host.startRegister('S')
    // They look for it once a second.
    while ((await host.run('ready')).code !== 0);
    const status = await host.run('status')
    expect(status).toMatchObject({ code: 0, errors: '' })
    expect(status.text).not.toContain('register')
    expect(await host.run('stop')).toMatchObject({ code: 0 })
  })

  it('says so with a wrong secret, and that it is the secret', async () => {
    const host = await Host.create()
    await host.startRegister('another secret')
    const started = await host.run('start', '-d', '--ready-timeout', '1')
    expect(started.code).toBe(4)
    expect(started.text).toMatch(/^BusinessWorker #0: no register has answered: .*secret/m)
    expect(started.text).toMatch(/^Gateway #0: no register answers: .*secret/m)
    expect((await host.run('status')).text).toMatch(/^Gateway #0: no register answers: .*secret/m)
  })

  it('shows [OK] and warnings under the table, and a reload what it does not apply', async () => {
    const host = await Host.create()
    await host.startRegister('S')
    host.folder.write('Events.mjs', 'export function onMesage() {}\nexport function onClose() {}\n')
    const started = await host.run('start', '-d')
    expect(started).toMatchObject({ code: 0, errors: '' })
    expect(started.text.match(/\[OK\]\n/g)).toHaveLength(2)
    expect(started.text).toContain(
      '\nWarning: BusinessWorker: Events has onMesage, which is no event; did you mean onMessage?\n',
    )

    expect((await host.run('reload')).text).not.toContain('has changed')
    host.configure({ count: 2, secretKey: 'T' })
    host.folder.write('Events.mjs', 'export function onMessage() {}\nexport function onClos() {}\n')
    const reloaded = await host.run('reload')
    expect(reloaded).toMatchObject({ code: 0, errors: '' })
    expect(reloaded.text.split('\n').slice(1)).toEqual([
      'reloaded 1 processes',
      'warning: BusinessWorker: Events has onClos, which is no event; did you mean onClose?',
      `${host.folder.path('gatewayworker.config.json')} has changed; only \`restart\` applies: secretKey, workers[0].count`,
      '',
    ])

    host.folder.write('gatewayworker.config.json', '{')
    const unread = await host.run('reload')
    expect(unread.code).toBe(0)
    expect(unread.text).toMatch(
      /warning: .*gatewayworker\.config\.json cannot be read as JSON: .*; a restart would fail\n$/,
    )
  })
})
