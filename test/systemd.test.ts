import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import { describe, expect, it, onTestFailed, onTestFinished } from 'vitest'
import { within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'

const unit = readFileSync(new URL('../scripts/deploy/systemd/gatewayworker.service', import.meta.url), 'utf8')
const exampleConfig = new URL('../scripts/deploy/systemd/gatewayworker.config.json', import.meta.url)
const cli = 'apps/gatewayworker/dist/gatewayworker.js'

const missing = ['php', 'systemd-notify'].filter((program) => spawnSync(program, ['--version']).error !== undefined)
const suite = `as a systemd service${missing.length > 0 ? ` (skipped: ${missing.join(' and ')} not installed)` : ''}`
if (missing.length > 0) console.warn(suite)

/** A socket as systemd has one for a service, here in PHP, since Node has none of that kind. */
class NotifySocket {
  /** What was said on it. */
  readonly said: string[] = []
  readonly #lines: Interface

  constructor(path: string) {
    const code =
      '$socket = stream_socket_server("udg://$argv[1]", $error, $message, STREAM_SERVER_BIND); echo "bound\n";' +
      'while (true) echo stream_socket_recvfrom($socket, 4096), "\n";'
    const child = spawn('php', ['-r', code, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    this.#lines = createInterface(child.stdout)
    // systemd-notify waits until that has been read, too.
    this.#lines.on('line', (line) => line !== 'BARRIER=1' && this.said.push(line))
  }

  /** Resolves when so much has been said, "bound" included. */
  async heard(count: number): Promise<void> {
    while (this.said.length < count) await within(once(this.#lines, 'line'), `${count} messages`)
  }
}

/** What the unit runs: the words of a directive, as they are here. */
function commandOf(directive: string, configFile: string): string[] {
  const [, words = ''] =
    new RegExp(`^${directive}=/usr/bin/env node /opt/gatewayworker/${cli} (.*)$`, 'm').exec(unit) ?? []
  return words.replace('/etc/gatewayworker/gatewayworker.config.json', configFile).split(' ')
}

// What users' code starts must not be able to speak for the service.
const events = `if ('NOTIFY_SOCKET' in process.env) throw new Error('NOTIFY_SOCKET is still there')
export function onMessage() {}
`

describe.skipIf(missing.length > 0)(suite, () => {
  it('says when it is ready and when it stops, and reloads by ExecReload', async () => {
    const folder = temporaryFolder({ 'Events.mjs': events })
    const config = readFileSync(exampleConfig, 'utf8')
      .replace('127.0.0.1:1236', `127.0.0.1:${await freePort()}`)
      .replace('0.0.0.0:7272', '127.0.0.1:0')
      .replace('"startPort": 2900', '"startPort": 0')
      .replace('/srv/app/Events.ts', folder.path('Events.mjs'))
    folder.write('gatewayworker.config.json', config)
    const socket = new NotifySocket(folder.path('notify'))
    await socket.heard(1)
    const env = { GW_RUN_DIR: folder.path('run'), NOTIFY_SOCKET: folder.path('notify') }
    function run(command: string[]): Program {
      const program = new Program(cli, command, env)
      onTestFailed(() => console.log(program.output))
      onTestFinished(() => program.killAll())
      return program
    }
    const start = () => run(commandOf('ExecStart', folder.path('gatewayworker.config.json')))

    const first = await start().ready()
    await socket.heard(2)
    const reload = run(commandOf('ExecReload', ''))
    expect(await reload.exited).toEqual({ code: 0, signal: null })
    expect(reload.text).toContain('reloaded 2 processes')

    // Told of this one, systemd would kill it after TimeoutStopSec.
    await run(['stop', '-g']).exited
    expect(await first.exited).toEqual({ code: 0, signal: null })
    const second = await start().ready()
    await socket.heard(3)

    expect(await second.stop()).toEqual({ code: 0, signal: null })
    await socket.heard(4)
    expect(socket.said).toEqual(['bound', 'READY=1', 'READY=1', 'STOPPING=1'])
  })

  it('says that systemd could not be told, and runs', async () => {
    const service = new Program('apps/register/dist/start-register.js', ['--listen', '127.0.0.1:0'], {
      NOTIFY_SOCKET: '/nowhere/notify',
    })
    onTestFinished(() => service.killAll())
    await service.line({ level: 'error', msg: 'systemd could not be told READY=1' })
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  })
})

it('has time to stop within TimeoutStopSec', () => {
  const { workers } = JSON.parse(readFileSync(exampleConfig, 'utf8')) as { workers: { stopTimeout: number }[] }
  const needed = workers.reduce((sum, { stopTimeout }) => sum + stopTimeout, 3)
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThanOrEqual(needed)
})
