import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nextRestartPauseMs } from '../src/restart-pause.ts'
import { fixture, type LogLine, Program } from './program.ts'

/** For `unshare`: limits that are of its own. */
const OWN_LIMITS = ['--user', '--map-root-user']

let directory: string
let programs: Program[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'processes-'))
  programs = []
})
afterEach(async () => {
  for (const program of programs) {
    program.process.kill('SIGKILL')
    await program.exit()
  }
  rmSync(directory, { recursive: true })
})

function run(file: string, args: string[] = [], env: Record<string, string> = {}): Program {
  const program = new Program(fixture(file), args, env)
  programs.push(program)
  return program
}

const isReady = ({ msg }: LogLine) => msg === 'ready'
const isRestart = ({ msg }: LogLine) => msg.includes('starts again in')

describe('start', () => {
  test('each process says that it is ready, then the master that all are', async () => {
    const program = run('app.mjs', ['--count', '2', '--name', 'Shop', '--secret-key', 'abc'])
    const all = await program.ready()
    const ready = program.log.filter(isReady)
    expect(ready.map(({ index }) => index).sort()).toEqual([0, 1])
    expect(ready[0]).toMatchObject({
      argv: [],
      level: 'info',
      listen: ready[1]!.listen,
      process: 'Shop',
      secretLength: 3,
    })
    expect(new Set([...ready.map(({ pid }) => pid), all.pid]).size).toBe(3)
    expect(all).toMatchObject({
      groups: [{ count: 2, listen: ready[0]!.listen, name: 'Shop' }],
      pid: program.process.pid,
      process: 'master',
    })
  })

  test('processes of a group take turns on the port they share', async () => {
    const program = run('app.mjs', ['--count', '2'])
    const port = Number((await program.line(isReady)).listen!.toString().split(':')[1])
    await program.ready()
    const pids = [await text(connect(port)), await text(connect(port))]
    expect(pids.map(Number).sort()).toEqual(
      program.log
        .filter(isReady)
        .map(({ pid }) => pid)
        .sort(),
    )
  })

  test('a taken port is one line that names it and the option, and everything stops', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const program = run('app.mjs', ['--count', '2', '--listen', `127.0.0.1:${port}`])
    expect(await program.exit()).toBe(1)
    expect(program.log).toMatchObject([
      {
        level: 'fatal',
        msg: `port ${port} on 127.0.0.1 is already in use; choose another with --listen`,
        process: 'Fixture',
      },
    ])
    server.close()
  })

  test('a module with a syntax error ends the start with file and line', async () => {
    const module = join(directory, 'module.mjs')
    writeFileSync(module, 'const a = ;')
    const program = run('app.mjs', ['--load', module])
    expect(await program.exit()).toBe(1)
    expect(program.log.map(({ msg }) => msg)).toEqual([expect.stringContaining(`${module}:1:11: `)])
  })

  test('any other error is shown with the stack of the child', async () => {
    const module = join(directory, 'module.mts')
    writeFileSync(module, "type A = 1\nthrow new Error('not today')")
    const program = run('app.mjs', ['--load', module])
    expect(await program.exit()).toBe(1)
    expect(program.log.map(({ msg }) => msg)).toEqual([expect.stringMatching(/^Error: not today\n.*module\.mts:2:7/)])
  })

  test('a plain program that ends is shown with what it wrote', async () => {
    const program = run('cluster.mjs', [], { SCRIPT_ARGS: '--fail' })
    expect(await program.exit()).toBe(1)
    expect(program.log.filter(({ level }) => level === 'fatal')).toMatchObject([
      { msg: 'no such luck; try without --fail', process: 'Script' },
    ])
  })
})

describe('revival', () => {
  test('a killed process is started again', async () => {
    const program = run('app.mjs')
    const { pid } = await program.line(isReady)
    await program.ready()
    process.kill(pid, 'SIGKILL')
    expect(await program.line(isRestart)).toMatchObject({
      exitedPid: pid,
      level: 'error',
      pauseMs: 100,
      process: 'Fixture',
      signal: 'SIGKILL',
      uptimeMs: expect.any(Number),
    })
    const [, revived] = await program.lines(2, isReady)
    expect(revived!.pid).not.toBe(pid)
  })

  test('a process that keeps dying is started after growing pauses', async () => {
    const program = run('app.mjs', ['--die-after', '0'])
    const restarts = await program.lines(3, isRestart)
    expect(restarts.map(({ code, pauseMs }) => [code, pauseMs])).toEqual([
      [1, 100],
      [1, 200],
      [1, 400],
    ])
    expect(program.log.find(({ msg }) => msg === 'uncaught exception')).toMatchObject({
      err: { message: 'died on purpose', stack: expect.stringContaining('app.mjs') },
      level: 'fatal',
    })
  })

  test('pauses double up to 3 s, before gateways close clients for want of a worker, and begin anew after a sound life', () => {
    const pauses = [0]
    for (let times = 0; times < 9; times += 1) pauses.push(nextRestartPauseMs(pauses.at(-1)!, 50))
    expect(pauses.slice(1)).toEqual([100, 200, 400, 800, 1600, 3000, 3000, 3000, 3000])
    expect(nextRestartPauseMs(3_000, 10_000)).toBe(100)
  })

  test('says what is gone where the program itself was removed', async () => {
    const copy = join(directory, 'supervisor')
    const [dist, modules] = ['dist', 'node_modules'].map((name) =>
      fileURLToPath(new URL(`../${name}`, import.meta.url)),
    )
    cpSync(dist!, join(copy, 'dist'), { recursive: true })
    cpSync(fileURLToPath(new URL('../package.json', import.meta.url)), join(copy, 'package.json'))
    symlinkSync(modules!, join(copy, 'node_modules'))
    cpSync(fixture('app.mjs'), join(copy, 'test/fixtures/app.mjs'))
    const program = new Program(join(copy, 'test/fixtures/app.mjs'))
    programs.push(program)
    const { pid } = await program.line(isReady)
    await program.ready()
    rmSync(join(copy, 'dist'), { recursive: true })
    process.kill(pid, 'SIGKILL')
    const [, failed] = await program.lines(2, isRestart)
    expect(failed!.msg).toContain(
      `before it was ready (${join(copy, 'dist/child.js')} is gone: install it again, or restart`,
    )
  })

  test('a start that fails after the first is tried again', async () => {
    const obstacle = join(directory, 'obstacle')
    const program = run('app.mjs', ['--fail-again', obstacle])
    await program.ready()
    writeFileSync(obstacle, '')
    process.kill((await program.line(isReady)).pid, 'SIGKILL')
    const [, failed] = await program.lines(2, isRestart)
    expect(failed).toMatchObject({ code: 1, pauseMs: 200, stack: expect.stringContaining('app.mjs') })
    expect(failed!.msg).toContain('before it was ready (failed on purpose)')
    rmSync(obstacle)
    expect(await program.line(({ msg }) => msg === 'started again')).toMatchObject({ process: 'Fixture' })
  })
})

describe('stop', () => {
  test('keeps the order when every process gets SIGTERM, as from systemd', async () => {
    const program = run('cluster.mjs')
    await program.ready()
    const children = new Set(program.log.filter(isReady).map(({ pid }) => pid))
    for (const pid of children) process.kill(pid, 'SIGTERM')
    program.process.kill('SIGTERM')
    expect(await program.exit()).toBe(0)
    expect(program.log.filter(({ level }) => level === 'error')).toEqual([])
    const stops = program.log.filter(({ msg }) => msg === 'asked to stop')
    expect(stops.map((line) => line.process)).toEqual(['Second', 'Second', 'First'])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('%s stops the last group first and exits with 0', async (signal) => {
    const program = run('cluster.mjs')
    await program.ready()
    program.process.kill(signal)
    expect(await program.exit()).toBe(0)
    const stops = program.log.filter(({ msg }) => msg === 'asked to stop' || msg === 'script stops')
    expect(stops.map((line) => line.process)).toEqual(['Script', 'Second', 'Second', 'First'])
    expect(program.log.filter(({ level }) => level !== 'info')).toEqual([])
  })

  test('Ctrl-C that reaches the children too leaves the order to the master', async () => {
    const program = run('cluster.mjs')
    await program.ready()
    for (const pid of new Set(program.log.map((line) => line.pid))) process.kill(pid, 'SIGINT')
    expect(await program.exit()).toBe(0)
    const stops = program.log.filter(({ msg }) => msg === 'asked to stop')
    expect(stops.map((line) => line.process)).toEqual(['Second', 'Second', 'First'])
  })

  test('what does not stop in time is killed, within 3 s in all', async () => {
    const program = run('cluster.mjs', [], { HANG: '1' })
    await program.ready()
    const startedAt = performance.now()
    program.process.kill('SIGINT')
    expect(await program.exit()).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(3000)
    expect(program.log.filter(({ msg }) => msg.endsWith('killed')).map((line) => line.process)).toEqual([
      'Second',
      'Second',
    ])
    expect(program.log.at(-2)).toMatchObject({ msg: 'asked to stop', process: 'First' })
  })

  test('a second Ctrl-C ends everything at once, the same one heard twice does not', async () => {
    const program = run('cluster.mjs', [], { HANG: '1' })
    await program.ready()
    program.process.kill('SIGINT')
    await program.line(({ msg }) => msg === 'stopping')
    program.process.kill('SIGINT')
    await program.line(({ msg, process: name }) => msg === 'asked to stop' && name === 'Second')
    const impatience = setInterval(() => program.process.kill('SIGINT'), 50)
    expect(await program.exit()).toBe(130)
    clearInterval(impatience)
    expect(program.log.some(({ msg }) => msg.endsWith('killed'))).toBe(false)
  })

  test('children stop by themselves when the master is gone', async () => {
    const program = run('cluster.mjs')
    await program.ready()
    program.process.kill('SIGKILL')
    expect(await program.exit()).toBe('SIGKILL')
    expect(program.log.filter(({ msg }) => msg === 'asked to stop')).toHaveLength(3)
  })

  test('a stop during the start stops what has started', async () => {
    const program = run('app.mjs', ['--count', '2'])
    await program.line(isReady)
    program.process.kill('SIGTERM')
    expect(await program.exit()).toBe(0)
  })
})

describe('signals that are not for a child', () => {
  test.each(['SIGHUP', 'SIGPIPE', 'SIGUSR1', 'SIGUSR2'] as const)('%s changes nothing', async (signal) => {
    const program = run('app.mjs')
    const { listen, pid } = await program.line(isReady)
    await program.ready()
    process.kill(pid, signal)
    const [host, port] = String(listen).split(':')
    expect(await text(connect(Number(port), host))).toBe(String(pid))
    program.process.kill('SIGINT')
    expect(await program.exit()).toBe(0)
    // Of Node, which says "Debugger listening" there.
    expect(program.stderr).toBe('')
  })
})

describe('--watch', () => {
  test('a change of a loaded file starts the process again at once', async () => {
    const [module, helper] = [join(directory, 'module.mts'), join(directory, 'helper.mts')]
    writeFileSync(module, "export { value } from './helper.mts'")
    writeFileSync(helper, 'export const value: number = 1')
    const program = run('app.mjs', ['--load', module, '--watch'])
    const before = await program.line(isReady)
    await program.ready()
    writeFileSync(helper, 'export const value: number = 22')
    expect(await program.line((line) => line.loaded === 22)).toMatchObject({ msg: 'ready' })
    expect(program.log.find(({ msg }) => msg === 'asked to stop')?.pid).toBe(before.pid)
    expect(program.log.some(isRestart)).toBe(false)
  })

  const limited = spawnSync('unshare', [...OWN_LIMITS, 'true']).status === 0
  const skipped = limited ? '' : ' (skipped: this host makes no user namespaces)'
  test.skipIf(!limited).each([
    ['max_inotify_watches', 'fs.inotify.max_user_watches'],
    ['max_inotify_instances', 'fs.inotify.max_user_instances'],
  ])(`looks at the files itself where %s is reached${skipped}`, async (limit, setting) => {
    const module = join(directory, 'module.mts')
    writeFileSync(module, 'export const value: number = 1')
    const command = `echo 0 > /proc/sys/user/${limit}; exec "$@"`
    const program = new Program(fixture('app.mjs'), ['--load', module, '--watch'], {}, [
      'unshare',
      ...OWN_LIMITS,
      'sh',
      '-c',
      command,
      'sh',
    ])
    programs.push(program)
    expect((await program.line(({ level }) => level === 'warn')).msg).toContain(setting)
    await program.ready()
    writeFileSync(module, 'export const value: number = 22')
    await program.line((line) => line.loaded === 22)
  })

  test('a syntax error waits for the file to change, at the first start and later', async () => {
    const module = join(directory, 'module.mts')
    writeFileSync(module, 'export const value = ;')
    const program = run('app.mjs', ['--load', module, '--watch'])
    const isError = ({ msg }: LogLine) => msg.startsWith(`${module}:1:22: `)
    expect((await program.line(isError)).msg).toMatch(/\nwaiting for a file to change$/)
    writeFileSync(module, 'export const value = 1')
    await program.ready()
    writeFileSync(module, 'export const value = ; ')
    await program.lines(2, isError)
    writeFileSync(module, 'export const value = 33')
    await program.line((line) => line.loaded === 33)
    program.process.kill('SIGINT')
    expect(await program.exit()).toBe(0)
  })
})
