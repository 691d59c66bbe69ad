import { rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CommandedCluster, isAlive } from './commanded.ts'
import type { LogLine } from './program.ts'

const isReplaced = ({ msg }: LogLine) => msg === 'replaced'
const isReloaded = ({ msg }: LogLine) => msg === 'reloaded'

/** Code for a promise that settles when a file is there no more. */
function whenGone(file: string): string {
  const path = JSON.stringify(file)
  return `new Promise((resolve) => {
    const { existsSync, watch } = require('node:fs')
    if (!existsSync(${path})) return resolve()
    const watcher = watch(${path}, () => resolve(watcher.close()))
  })`
}

/** Makes new workers wait as they start, after they have said so; the function that is returned lets them go on. */
function holdUpStart(cluster: CommandedCluster): () => void {
  const obstacle = cluster.write('obstacle', '')
  cluster.write(
    'one.cjs',
    `exports.onStart = async () => {
      const gone = ${whenGone(obstacle)}
      console.log(JSON.stringify({ msg: 'held up' }))
      await gone
    }`,
  )
  return () => rmSync(obstacle)
}

describe('reload', () => {
  test('replaces one by one, the new process ready before the old one is told to stop; others stay', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', 'exports.version = 1')
    const foreground = await cluster.start('--module', module, '--count', '2')
    const before = await cluster.status()
    cluster.write('one.cjs', 'exports.version = 2')
    const seen = foreground.log.length
    expect(await cluster.run('reload')).toEqual({
      code: 0,
      errors: '',
      text: 'Worker1 #0: replaced\nWorker1 #1: replaced\nreloaded 2 processes\n',
    })
    const order = foreground.log.slice(seen).filter(({ msg }) => ['ready', 'replaced', 'asked to stop'].includes(msg))
    expect(order.map(({ index, msg, version }) => [index, msg, version])).toEqual(
      [0, 1].flatMap((index) => [
        [index, 'ready', 2],
        [index, 'replaced', undefined],
        [index, 'asked to stop', 1],
      ]),
    )
    const after = await cluster.status()
    const pids = ({ processes }: typeof after, name: string) =>
      processes.filter((process) => process.name === name).map(({ pid }) => pid)
    expect(pids(after, 'Holder')).toEqual(pids(before, 'Holder'))
    expect(pids(before, 'Worker1').filter(isAlive)).toEqual([])
    expect(after.processes.map(({ restarts }) => restarts)).toEqual([0, 0, 0, 0, 0])
  })

  test.each([
    ['does not parse', 'const = 1', /^commanded reload: Worker2 #0: .*two\.cjs:1:7: /],
    [
      'fails as it starts',
      "exports.onStart = () => {\n  throw new Error('no cache')\n}",
      /^commanded reload: Worker2 #0: Error: no cache\n.*two\.cjs:2/,
    ],
  ])('changes nothing in any group when the code of one %s', async (_what, code, message) => {
    const cluster = new CommandedCluster()
    const modules = [cluster.write('one.cjs', ''), cluster.write('two.cjs', '')]
    const foreground = await cluster.start(...modules.flatMap((module) => ['--module', module]))
    const before = await cluster.status()
    cluster.write('two.cjs', code)
    expect(await cluster.run('reload')).toEqual({ code: 1, errors: expect.stringMatching(message), text: '' })
    const pids = (status: typeof before) => status.processes.map(({ pid }) => pid)
    expect(pids(await cluster.status())).toEqual(pids(before))
    expect(foreground.log.filter(isReplaced)).toEqual([])
    // What is mended is taken at the next reload.
    cluster.write('two.cjs', '')
    expect(await cluster.run('reload')).toMatchObject({ code: 0 })
  })

  test('stops where a later process fails; what is replaced stays so', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    await cluster.start('--module', module, '--count', '2')
    const [first, second] = await cluster.processes('Worker1')
    cluster.write('one.cjs', 'exports.onStart = (index) => { if (index === 1) process.exit(3) }')
    expect(await cluster.run('reload')).toMatchObject({
      code: 1,
      errors: 'commanded reload: Worker1 #1: ended with code 3 before it was ready\n',
      text: 'Worker1 #0: replaced\n',
    })
    expect([first, second].map((process) => isAlive(process!.pid))).toEqual([false, true])
  })

  test('is refused while another one is under way, and not confused by a crash meanwhile', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    const foreground = await cluster.start('--module', module)
    const [old] = await cluster.processes('Worker1')
    const removeObstacle = holdUpStart(cluster)
    const reload = cluster.run('reload')
    await foreground.line(({ msg }) => msg === 'held up')
    expect(await cluster.run('reload')).toMatchObject({
      code: 1,
      errors: 'commanded reload: another reload is under way; try again when it is over\n',
    })
    // Its place is about to be filled twice: by the new process, and by one that is started again after the crash.
    process.kill(old!.pid!, 'SIGKILL')
    await foreground.lines(2, ({ msg }) => msg === 'held up')
    expect((await cluster.processes('Worker1')).map(({ condition }) => condition)).toEqual(['starting', 'starting'])
    removeObstacle()
    expect(await reload).toMatchObject({ code: 0 })
    const left = await cluster.processes('Worker1')
    expect(left).toMatchObject([{ condition: 'ready', restarts: 1 }])
    expect(left[0]!.pid).toBe(foreground.log.find(isReplaced)!.startedPid)
  })

  test('fills a place whose process has just crashed, once', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', ''))
    const [old] = await cluster.processes('Worker1')
    const removeObstacle = holdUpStart(cluster)
    const reload = cluster.run('reload')
    await foreground.line(({ msg }) => msg === 'held up')
    process.kill(old!.pid!, 'SIGKILL')
    // Within the pause before it is started again.
    await foreground.line(({ msg }) => msg.includes('starts again in'))
    removeObstacle()
    expect(await reload).toMatchObject({ code: 0 })
    // Which takes longer than the pause.
    expect(await cluster.run('reload')).toMatchObject({ code: 0 })
    const isWorker = ({ msg, process: name }: LogLine) => msg === 'ready' && name === 'Worker1'
    expect(foreground.log.filter(isWorker).map(({ pid }) => isAlive(pid))).toEqual([false, false, true])
  })

  test('that hangs does not hold up a stop', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', '')
    const foreground = await cluster.start('--module', module)
    cluster.write(
      'one.cjs',
      'exports.onStart = () => { console.log(\'{"msg":"hangs"}\'); return new Promise(() => {}) }',
    )
    const reload = cluster.run('reload')
    await foreground.line(({ msg }) => msg === 'hangs')
    expect(await cluster.run('stop')).toMatchObject({ code: 0 })
    expect(await reload).toMatchObject({ code: 1 })
    expect(await foreground.exit()).toBe(0)
  })

  test('is over when the old process has drained, which is shown until then', async () => {
    const cluster = new CommandedCluster()
    const obstacle = cluster.write('obstacle', '')
    const code = `exports.onStop = () => ${whenGone(obstacle)}`
    const foreground = await cluster.start('--module', cluster.write('one.cjs', code), '--stop-timeout', '25')
    const [old] = await cluster.processes('Worker1')
    const reload = cluster.run('reload')
    expect(await foreground.line(({ msg }) => msg === 'asked to stop')).toMatchObject({ timeoutMs: 25_000 })
    expect(await cluster.processes('Worker1')).toMatchObject([
      { condition: 'ready' },
      { condition: 'stopping', pid: old!.pid },
    ])
    rmSync(obstacle)
    expect(await reload).toMatchObject({ code: 0 })
    expect(isAlive(old!.pid)).toBe(false)
  })

  test('is what SIGUSR1 asks for', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', ''))
    foreground.process.kill('SIGUSR1')
    expect(await foreground.line(isReloaded)).toMatchObject({ process: 'master', replaced: 1 })
  })
})
