import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RunFolder, runFolderOf } from '../src/control/run-folder.ts'
import { CommandedCluster, isAlive } from './commanded.ts'
import type { LogLine } from './program.ts'

const wasAsked = ({ msg }: LogLine) => msg === 'asked to stop'

describe('the run folder', () => {
  test('belongs to the user alone, has the socket and the pid, and is left empty', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', ''))
    expect(statSync(cluster.runDir).mode & 0o777).toBe(0o700)
    expect(cluster.pid()).toBe(foreground.process.pid)
    foreground.process.kill('SIGINT')
    expect(await foreground.exit()).toBe(0)
    expect(() => statSync(new RunFolder(cluster.runDir).socket)).toThrow('ENOENT')
    expect(() => statSync(new RunFolder(cluster.runDir).pidFile)).toThrow('ENOENT')
  })

  test('is refused when others can open it', async () => {
    const cluster = new CommandedCluster()
    mkdirSync(cluster.runDir)
    chmodSync(cluster.runDir, 0o755)
    const refused = await cluster.run('start', '--module', cluster.write('one.cjs', ''))
    expect(refused).toMatchObject({
      code: 2,
      errors: `commanded start: ${cluster.runDir} is open to other users: chmod 700 it, or name another folder with --run-dir\n`,
    })
  })

  test('is beside the config file, another one for every config file', () => {
    expect(runFolderOf('/srv/chat/gatewayworker.config.ts')).toBe('/srv/chat/.gatewayworker')
    expect(runFolderOf('/srv/chat/staging.json')).toBe('/srv/chat/.gatewayworker-staging')
  })

  test('has its socket elsewhere when its path is too long for one', () => {
    expect(new RunFolder('/srv/chat').socket).toBe('/srv/chat/control.sock')
    const deep = `/${'deep/'.repeat(30)}`
    expect(Buffer.byteLength(new RunFolder(deep).socket)).toBeLessThanOrEqual(103)
    expect(new RunFolder(deep).socket).not.toBe(new RunFolder(`${deep}er`).socket)
  })
})

/** Whoever answers in a master's place. */
async function answerAs(path: string, ...replies: object[]): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(`${JSON.stringify({ pid: process.pid, type: 'hello', version: '0' })}\n`)
    socket.once('data', () => socket.end(replies.map((reply) => `${JSON.stringify(reply)}\n`).join('')))
  })
  await once(server.listen(path), 'listening')
  onTestFinished(() => void server.close())
}

describe('an answer', () => {
  test('neither moves the cursor nor changes the colours', async () => {
    const cluster = new CommandedCluster()
    mkdirSync(cluster.runDir, { mode: 0o700 })
    const nasty = 'a\x1b[2Jb\u009b31mc\u202ed\re'
    const replies = [
      { text: nasty, type: 'progress' },
      { message: nasty, type: 'error' },
    ]
    await answerAs(new RunFolder(cluster.runDir).socket, ...replies)
    const { errors, text } = await cluster.run('reload')
    expect(text).toBe('a?[2Jb?31mc?d?e\n')
    expect(errors).toBe('commanded reload: a?[2Jb?31mc?d?e\n')
  })

  test('is escaped in JSON', async () => {
    const cluster = new CommandedCluster()
    mkdirSync(cluster.runDir, { mode: 0o700 })
    const value = { processes: ['\u009b31m', '\x1b'], total: {} }
    await answerAs(new RunFolder(cluster.runDir).socket, { type: 'result', value })
    const { text } = await cluster.run('status', '--json')
    expect(text).toContain('"\\u009b31m"')
    expect(JSON.parse(text)).toEqual(value)
  })

  test('of a folder that others can write to is refused', async () => {
    const cluster = new CommandedCluster()
    mkdirSync(cluster.runDir)
    chmodSync(cluster.runDir, 0o777)
    await answerAs(new RunFolder(cluster.runDir).socket, { type: 'progress', text: 'stopped' })
    const { code, errors, text } = await cluster.run('stop')
    expect({ code, errors, text }).toEqual({
      code: 2,
      errors: `commanded stop: ${cluster.runDir} can be written to by other users: chmod 700 it\n`,
      text: '',
    })
  })

  const isRoot = process.getuid?.() === 0
  const skipped = isRoot ? '' : ' (skipped: only root gives files away)'
  test.skipIf(!isRoot)(`of another user's folder is refused where everybody can make one${skipped}`, async () => {
    const cluster = new CommandedCluster()
    chmodSync(cluster.folder, 0o1777)
    mkdirSync(cluster.runDir, { mode: 0o700 })
    const { socket } = new RunFolder(cluster.runDir)
    await answerAs(socket, { type: 'progress', text: 'stopped' })
    chownSync(cluster.runDir, 65_534, 65_534)
    const { code, errors } = await cluster.run('stop')
    expect({ code, errors }).toEqual({ code: 2, errors: `commanded stop: ${cluster.runDir} belongs to another user\n` })
  })
})

describe('a second start', () => {
  test('is refused with the pid of the first, which goes on', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    const first = await cluster.start('--module', module)
    for (const more of [[], ['--daemon']]) {
      const second = await cluster.run('start', '--module', module, ...more)
      expect(second).toMatchObject({
        code: 1,
        errors: `commanded start: already running, with pid ${first.process.pid}; see status, stop and restart\n`,
      })
    }
    expect((await cluster.status()).processes[0]).toMatchObject({ condition: 'ready', pid: first.process.pid })
  })

  test('is not refused for what a killed master left, nor for its pid, which another program has got; its children end before', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', 'exports.onStop = () => new Promise((resolve) => setTimeout(resolve, 300))')
    const first = await cluster.start('--module', module)
    const { processes } = await cluster.status()
    first.process.kill('SIGKILL')
    await once(first.process, 'exit')
    writeFileSync(new RunFolder(cluster.runDir).pidFile, `${process.pid}\n`)
    const second = await cluster.start('--module', module)
    expect(processes.map(({ pid }) => pid).filter(isAlive)).toEqual([])
    // It has waited before it started anything.
    expect(second.log[0]).toMatchObject({ formerPid: process.pid, level: 'warn' })
    expect((await cluster.status()).processes[0]!.pid).toBe(second.process.pid)
  })

  test('of several at the same time after a kill, one wins', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    const first = await cluster.start('--module', module)
    first.process.kill('SIGKILL')
    await first.exit()
    const starts = await Promise.all(
      Array.from({ length: 3 }, () => cluster.run('start', '--daemon', '--module', module)),
    )
    expect(starts.map(({ code }) => code).sort()).toEqual([0, 1, 1])
    expect(await cluster.run('stop')).toMatchObject({ code: 0 })
  })
})

describe('stop', () => {
  test('says what it does, and returns when all is gone', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', ''))
    const { processes } = await cluster.status()
    const stopped = await cluster.run('stop')
    expect(stopped).toEqual({ code: 0, errors: '', text: 'stopping Worker1\nstopping Holder\nstopped\n' })
    expect(processes.map(({ pid }) => pid).filter(isAlive)).toEqual([])
    expect(await foreground.exit()).toBe(0)
    // A cluster that does not run is stopped already, but has nothing to show.
    expect(await cluster.run('stop')).toEqual({ code: 0, errors: '', text: expect.stringMatching(/^not running/) })
    expect(await cluster.run('status')).toMatchObject({
      code: 3,
      errors: expect.stringMatching(/^commanded status: not running/),
    })
  })

  test('gives processes that drain their time, others a share of 2.5 s', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    const foreground = await cluster.start('--module', module, '--stop-timeout', '7.5')
    await cluster.run('stop')
    expect(foreground.log.find(wasAsked)).toMatchObject({ timeoutMs: 7500 })
    const interrupted = await cluster.start('--module', module, '--stop-timeout', '7.5')
    interrupted.process.kill('SIGINT')
    expect(await interrupted.exit()).toBe(0)
    expect(interrupted.log.find(wasAsked)).toMatchObject({ timeoutMs: 1250 })
  })

  test('kills what drains for too long', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', 'exports.onStop = () => new Promise(() => {})')
    const foreground = await cluster.start('--module', module, '--stop-timeout', '0.2')
    expect(await cluster.run('stop')).toMatchObject({ code: 0 })
    expect(foreground.log.filter(({ level }) => level === 'warn')).toMatchObject([
      { msg: 'did not stop within 200 ms: killed', process: 'Worker1' },
    ])
  })

  test('-g waits beyond the timeout, until somebody loses patience', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', 'exports.onStop = () => new Promise(() => {})')
    const foreground = await cluster.start('--module', module, '--stop-timeout', '0.2')
    const patient = cluster.run('stop', '-g')
    // Whose time has come to an end if it has one.
    expect(await foreground.line(wasAsked)).not.toHaveProperty('timeoutMs', 200)
    expect(await cluster.run('stop')).toMatchObject({ code: 0, text: 'stopped\n' })
    expect(await patient).toMatchObject({ code: 0, text: 'stopping Worker1\nstopping Holder\nstopped\n' })
    expect(foreground.log.filter(({ msg }) => msg.endsWith('killed'))).toHaveLength(1)
  })
})

describe('restart', () => {
  test('finds out what is wrong before it stops anything, then replaces all', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    await cluster.start('--module', module)
    const first = cluster.pid()
    const wrong = await cluster.run('restart', '-d', '--module', '/nowhere.cjs')
    expect(wrong).toMatchObject({ code: 2, errors: expect.stringContaining('/nowhere.cjs') })
    expect(isAlive(first)).toBe(true)
    expect(await cluster.run('restart', '-d', '-g', '--module', module)).toMatchObject({ code: 0 })
    expect(isAlive(first)).toBe(false)
    expect(isAlive(cluster.pid())).toBe(true)
    expect(await cluster.run('stop')).toMatchObject({ code: 0 })
  })
})

describe('the control socket', () => {
  test.each([
    ['what is no JSON', '?', /JSON/],
    ['an unknown command', '{"command":"toString"}', /there is no command "toString"/],
  ])('answers %s with an error', async (_what, line, message) => {
    const cluster = new CommandedCluster()
    await cluster.start('--module', cluster.write('one.cjs', ''))
    const socket = connect(new RunFolder(cluster.runDir).socket)
    socket.write(`${line}\n`)
    const [hello, error] = (await text(socket))
      .trim()
      .split('\n')
      .map((reply) => JSON.parse(reply))
    expect(hello).toEqual({
      cluster: { runFolder: cluster.runDir },
      pid: cluster.pid(),
      type: 'hello',
      version: expect.any(String),
    })
    expect(error).toEqual({ message: expect.stringMatching(message), type: 'error' })
  })

  test('bears a client that goes away', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', ''))
    const socket = connect(new RunFolder(cluster.runDir).socket)
    await once(socket, 'connect')
    socket.write('{"command":"status"}\n')
    socket.destroy()
    expect((await cluster.status()).processes[0]!.pid).toBe(foreground.process.pid)
  })
})

describe('mistakes', () => {
  test.each([
    [['restrat'], 'commanded restrat: there is no command "restrat"; see --help'],
    [['status', '--jsn'], 'commanded status: unknown option --jsn; see --help'],
    [['stop', 'now'], 'commanded stop: unexpected argument "now"; see --help'],
    [['connections', '--limit', '0'], 'commanded connections: --limit must be a whole number from 1 to 10000, not "0"'],
    [['start'], 'commanded start: --module is missing; see --help'],
  ])('%j', async ([command, ...args], message) => {
    expect(await new CommandedCluster().run(command!, ...args)).toMatchObject({ code: 2, errors: `${message}\n` })
  })

  test('--help lists the commands, and the options of each', async () => {
    const cluster = new CommandedCluster()
    const { text: commands } = await cluster.run('--help')
    for (const command of ['start', 'stop', 'restart', 'reload', 'status', 'connections'])
      expect(commands).toMatch(new RegExp(`^ +commanded ${command} `, 'm'))
    expect((await cluster.run('restart', '--help')).text).toMatch(
      /^Usage: commanded restart \[options\]$[\s\S]*-g, --graceful/m,
    )
  })
})
