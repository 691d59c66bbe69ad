import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, onTestFailed, onTestFinished } from 'vitest'
import { fixture, scripts, startCluster } from './cluster.ts'
import { within } from './deadline.ts'
import { Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Kind = keyof typeof scripts
const kinds = Object.keys(scripts) as Kind[]

/** What lets each kind start on its own: free ports, and a register that may be away. */
const ownArgs: Record<Kind, string[]> = {
  businessworker: ['--events', fixture('remote-control.ts'), '--register-address', '127.0.0.1:1'],
  gateway: ['--listen', 'websocket://127.0.0.1:0', '--start-port', '0', '--register-address', '127.0.0.1:1'],
  register: ['--listen', '127.0.0.1:0'],
}

function run(kind: Kind, args: readonly string[] = ownArgs[kind], env?: Record<string, string>): Program {
  const program = new Program(scripts[kind], args, env)
  onTestFailed(() => console.log(program.output))
  onTestFinished(() => program.killAll())
  return program
}

/** How a program ended by itself. */
async function exitOf(program: Program): Promise<number | null> {
  return (await within(program.exited, `the end of ${program.name}`)).code
}

/** A port that somebody else listens on. */
async function takenPort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

describe.each(kinds)('start_%s', (kind) => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'says when it is ready, in JSON lines, and ends with 0 at %s',
    async (signal) => {
      const program = await run(kind).ready()
      expect(program.child()).toMatchObject({ index: 0, level: 'info', pid: expect.any(Number) })
      expect(await program.line({ msg: 'all ready' })).toMatchObject({ groups: [{ count: 1 }], process: 'master' })
      expect(program.pids.size).toBe(2)
      // This rejects if a process is left.
      expect(await program.stop(signal)).toEqual({ code: 0, signal: null })
      expect(program.text.split('\n').every((line) => line.startsWith('{'))).toBe(true)
    },
  )

  it('explains its options with their defaults at --help', async () => {
    const program = run(kind, ['--help'])
    expect(await exitOf(program)).toBe(0)
    for (const option of ['--secret-key', '--config']) expect(program.text).toContain(option)
    expect(program.text).toMatch(/--log-level .*\[default: info\]/s)
    expect(program.errors).toBe('')
  })

  it('refuses an unknown option in one line that names it', async () => {
    const program = run(kind, [...ownArgs[kind], '--lisen', 'x'])
    expect(await exitOf(program)).toBe(2)
    expect(program.errors).toBe(`start_${kind}: unknown option --lisen; see --help\n`)
    expect(program.text).toBe(program.errors.trimEnd())
  })
})

describe('options', () => {
  it.each([
    ['a word that is none of those allowed', ['--log-level', 'loud'], '--log-level'],
    ['no value', ['--secret-key'], '--secret-key'],
    ['two values where one is wanted', ['--secret-key', 'a', '--secret-key', 'b'], '--secret-key'],
    ['a number that is none', ['--ping-interval', 'often'], '--ping-interval'],
    ['a number out of range', ['--count', '0'], '--count'],
    ['a number out of range, of an option that begins with no', ['--no-worker-timeout', '-1'], '--no-worker-timeout'],
    ['an address that is none', ['--register-address', 'nowhere'], '--register-address'],
    ['a protocol that is none', ['--listen', 'mqtt://127.0.0.1:0'], '--listen'],
    ['a file that is not there', ['--router', '/nowhere/router.ts'], '/nowhere/router.ts'],
    ['a config file that is not there', ['--config', '/nowhere.json'], '--config'],
    ['an argument that belongs to none', ['start'], '"start"'],
  ])('that are wrong are refused in one line that names them: %s', async (_what, args, named) => {
    const program = run('gateway', args)
    expect(await exitOf(program)).toBe(2)
    expect(program.errors.trimEnd().split('\n')).toEqual([expect.stringContaining(named)])
  })

  it('that are missing are named', async () => {
    const program = run('businessworker', [])
    expect(await exitOf(program)).toBe(2)
    expect(program.errors).toContain('--events is missing')
  })

  it('of the environment that are wrong are named as the variable', async () => {
    const program = run('register', [], { GW_LOG_LEVEL: 'loud' })
    expect(await exitOf(program)).toBe(2)
    expect(program.errors).toContain('GW_LOG_LEVEL')
  })
})

describe('options of a config file', () => {
  it('are used, and a flag or the environment wins over them', async () => {
    const folder = temporaryFolder({ 'config.json': '{"listen":"127.0.0.1:1","logLevel":"debug"}' })
    const config = folder.path('config.json')
    const flagged = await run('register', ['--config', config, '--listen', '127.0.0.1:0']).ready()
    expect(flagged.child().listen).not.toBe('127.0.0.1:1')
    const environment = await run('register', [], { GW_CONFIG: config, GW_LISTEN: '127.0.0.1:0' }).ready()
    expect(environment.child().listen).not.toBe('127.0.0.1:1')
    const both = await run('register', ['--listen', '127.0.0.1:0'], { GW_LISTEN: '127.0.0.1:1' }).ready()
    expect(both.child().listen).not.toBe('127.0.0.1:1')
  })

  it('may be TypeScript, and name files relative to it', async () => {
    const folder = temporaryFolder({
      'config.ts': `const settings: object = { count: 2, events: './Events.ts', name: 'Desk', registerAddress: '127.0.0.1:1' }
        export default settings`,
      'Events.ts': 'export function onMessage(clientId: string): void {}',
      'package.json': '{"type":"module"}',
    })
    const program = await run('businessworker', ['--config', folder.path('config.ts')]).ready()
    expect([program.child(0), program.child(1)]).toMatchObject([{ process: 'Desk' }, { process: 'Desk' }])
    expect(program.child().events).toBe(folder.path('Events.ts'))
  })

  it('that are unknown are refused by name', async () => {
    const folder = temporaryFolder({ 'config.json': '{"lisen":"127.0.0.1:0"}' })
    const program = run('register', ['--config', folder.path('config.json')])
    expect(await exitOf(program)).toBe(2)
    expect(program.errors).toContain('"lisen"')
  })
})

describe('a port that is taken', () => {
  it.each<[string, Kind, string, (port: number) => string[]]>([
    ['a register', 'register', '--listen', (port) => ['--listen', `127.0.0.1:${port}`]],
    ["a gateway's clients", 'gateway', '--listen', (port) => ['--listen', `websocket://127.0.0.1:${port}`]],
    ["a gateway's LAN", 'gateway', '--start-port', (port) => ['--start-port', String(port)]],
  ])('of %s is one clear line with the port and the option', async (_whose, kind, option, argsFor) => {
    const port = await takenPort()
    const own = ownArgs[kind].filter((_, at, args) => args[at] !== option && args[at - 1] !== option)
    const program = run(kind, [...own, ...argsFor(port)])
    expect(await exitOf(program)).toBe(1)
    const complaints = program.lines.filter(({ level }) => level === 'fatal')
    expect(complaints).toMatchObject([
      { msg: `port ${port} on 127.0.0.1 is already in use; choose another with ${option}` },
    ])
  })
})

describe('a port for the cluster', () => {
  it.each([
    ['register', ['--listen', '0.0.0.0:0']],
    ['gateway', [...ownArgs.gateway, '--lan-listen', '0.0.0.0']],
  ] as const)('of a %s is bound for everybody only with a secret, and no short one', async (kind, args) => {
    const without = run(kind, args)
    expect(await exitOf(without)).toBe(1)
    expect(without.lines.filter(({ level }) => level === 'fatal')).toMatchObject([
      { msg: expect.stringMatching(/^0\.0\.0\.0 may be reached by everybody.*--secret-key.*[^\n]$/) },
    ])
    const short = run(kind, [...args, '--secret-key', 'fifteen letters'])
    expect(await exitOf(short)).toBe(1)
    expect(short.lines.filter(({ level }) => level === 'fatal')).toMatchObject([
      { msg: expect.stringMatching(/^the secret key has fewer than 16 characters.*0\.0\.0\.0.*openssl rand.*[^\n]$/) },
    ])
    await run(kind, [...args, '--secret-key', 'sixteen  letters']).ready()
  })
})

describe('an Events file', () => {
  it.each([
    ['does not parse', 'export function onMessage() {\n  const = 1\n}', /Events\.ts:2:9: /],
    ['imports something that is not there', "import './nothing.ts'\nexport const onMessage = () => {}", /nothing\.ts/],
    ['throws while it loads', "\nthrow new Error('no database')", /no database[\s\S]*Events\.ts:2/],
    ['has no handler', 'export const onMesage = () => {}', /none of onWorkerStart/],
    [
      'fails in onWorkerStart',
      "export const onWorkerStart = () => {\n  throw new Error('no cache')\n}",
      /no cache[\s\S]*:2/,
    ],
  ])('that %s is shown with the place, and the worker ends with 1', async (_what, code, complaint) => {
    const folder = temporaryFolder({ 'Events.ts': code, 'package.json': '{"type":"module"}' })
    const program = run('businessworker', ['--events', folder.path('Events.ts'), '--register-address', '127.0.0.1:1'])
    expect(await exitOf(program)).toBe(1)
    const complaints = program.lines.filter(({ level }) => level === 'fatal')
    expect(complaints).toMatchObject([{ msg: expect.stringMatching(complaint), process: 'BusinessWorker' }])
  })
})

describe('a stop', () => {
  it('that comes before all are ready leaves nothing behind either', async () => {
    const program = run('gateway', [...ownArgs.gateway, '--count', '3'])
    await program.next({ msg: 'ready' })
    expect(await program.stop()).toEqual({ code: 0, signal: null })
  })

  it('says goodbye to clients with 1001', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    await cluster.gateways[0]!.stop()
    expect(await client.isClosed()).toEqual({ code: 1001, reason: 'gateway stops' })
  })

  it('does not wait for a client that does not answer', async () => {
    const cluster = await startCluster()
    const client = await cluster.connect()
    client.socket.pause()
    expect(await cluster.gateways[0]!.stop()).toEqual({ code: 0, signal: null })
  })

  it('is not needed for children whose master was killed: they end, too', async () => {
    const program = await run('gateway').ready()
    program.kill('SIGKILL')
    // Its output is open as long as a child lives.
    expect(await within(program.exited, 'the end of the orphans')).toEqual({ code: null, signal: 'SIGKILL' })
  })
})
