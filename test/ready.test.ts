import { describe, expect, it, onTestFailed, onTestFinished } from 'vitest'
import { scripts } from './cluster.ts'
import { ConsoleCluster } from './console-cluster.ts'
import { freePort } from './free-port.ts'
import { Program } from './program.ts'

/** Programs of one kind each, with a run folder each, and what `gatewayworker ready` says of them. */
class Programs {
  readonly registerAddress: string
  readonly #user = new ConsoleCluster({ 'Events.mjs': 'export function onMessage() {}\n' })
  #count = 0

  constructor(registerPort: number) {
    this.registerAddress = `127.0.0.1:${registerPort}`
  }

  register(...args: string[]): Promise<ReadyProgram> {
    return this.#start(scripts.register, ['--listen', this.registerAddress, ...args])
  }

  gateway(...args: string[]): Promise<ReadyProgram> {
    const listen = ['--listen', 'websocket://127.0.0.1:0', '--register-address', this.registerAddress]
    return this.#start(scripts.gateway, [...listen, ...args])
  }

  worker(): Promise<ReadyProgram> {
    const events = this.#user.folder.path('Events.mjs')
    return this.#start(scripts.businessworker, ['--events', events, '--register-address', this.registerAddress])
  }

  async #start(script: string, args: string[]): Promise<ReadyProgram> {
    this.#count += 1
    const runDir = this.#user.folder.path(`run-${this.#count}`)
    const program = new Program(script, [...args, '--run-dir', runDir])
    onTestFinished(() => program.killAll())
    onTestFailed(() => console.log(program.output))
    await program.ready()
    return Object.assign(program, { check: () => this.#user.run('ready', '--run-dir', runDir) })
  }
}

type ReadyProgram = Program & { check(): ReturnType<ConsoleCluster['run']> }

const isReady = { code: 0, errors: '', text: 'ready\n' }

function isNotReady(why: RegExp): object {
  return { code: 1, errors: expect.stringMatching(why), text: '' }
}

describe('gatewayworker ready', () => {
  it('succeeds for each kind of process once all are up, and goes on to when the register ends', async () => {
    const programs = new Programs(await freePort())
    const register = await programs.register()
    const gateway = await programs.gateway('--start-port', '0')
    const worker = await programs.worker()
    for (const program of [register, gateway, worker]) expect(await program.check()).toMatchObject(isReady)

    await register.stop()
    expect(await register.check()).toMatchObject({ code: 3, errors: expect.stringContaining('not running') })
    // Were these not, a register that restarts would take every gateway out of its load balancer.
    for (const program of [gateway, worker]) expect(await program.check()).toMatchObject(isReady)
  })

  it('fails for a gateway and a worker that have never heard of a register', async () => {
    const programs = new Programs(await freePort())
    const gateway = await programs.gateway('--start-port', '0')
    const worker = await programs.worker()
    expect(await gateway.check()).toMatchObject(isNotReady(/Gateway #0: no register answers: .*ECONNREFUSED/))
    expect(await worker.check()).toMatchObject(isNotReady(/BusinessWorker #0: no register has answered/))
    await programs.register()
    await gateway.line({ msg: 'worker linked' })
    for (const program of [gateway, worker]) expect(await program.check()).toMatchObject(isReady)
  })

  it('fails for a gateway that the register does not let in', async () => {
    const programs = new Programs(await freePort())
    await programs.register('--secret-key', 'the secret of this cluster')
    const gateway = await programs.gateway('--start-port', '0')
    expect(await gateway.check()).toMatchObject(isNotReady(/no register answers: .*no secret key was given/))
  })

  it('fails for a gateway that nobody reaches at its LAN address, and for workers that are told it', async () => {
    const programs = new Programs(await freePort())
    await programs.register()
    // The whole of 127.0.0.0/8 is this host, and it listens at another address of it.
    const gateway = await programs.gateway('--start-port', '0', '--lan-ip', '127.0.0.2', '--lan-listen', '127.0.0.1')
    const worker = await programs.worker()
    expect(await gateway.check()).toMatchObject(
      isNotReady(/Gateway #0: its LAN address cannot be reached: .*127\.0\.0\.2/),
    )
    expect(await worker.check()).toMatchObject(isNotReady(/BusinessWorker #0: no link to the gateway 127\.0\.0\.2:\d+/))
  })

  it('fails for a gateway behind whose LAN address there is another one', async () => {
    const programs = new Programs(await freePort())
    await programs.register()
    const port = await freePort()
    const first = await programs.gateway('--start-port', String(port))
    const second = await programs.gateway('--start-port', String(port), '--lan-listen', '127.0.0.2')
    expect(await first.check()).toMatchObject(isReady)
    expect(await second.check()).toMatchObject(isNotReady(/another gateway answers at 127\.0\.0\.1:\d+/))
  })

  it('fails while a process is gone or hangs', async () => {
    const programs = new Programs(await freePort())
    const register = await programs.register()
    const { pid } = register.child()
    process.kill(pid, 'SIGSTOP')
    expect(await register.check()).toMatchObject(isNotReady(/Register #0 does not answer/))
    process.kill(pid, 'SIGCONT')
    expect(await register.check()).toMatchObject(isReady)
  })
})
