import { rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CommandedCluster, isAlive } from './commanded.ts'
import type { LogLine, Program } from './program.ts'

/** What a worker's code of a version does, in order; each process writes its own pid. */
const code = (version: number, more = '') => `
exports.version = ${version}
exports.waits = true
const say = (did) => console.log(JSON.stringify({ did, pid: process.pid, version: ${version} }))
say('loaded')
exports.onStart = () => say('began')
exports.onHandOver = () => say('handed over')
exports.onTakeBack = () => say('took back')
exports.onStop = () => say('stopped')
${more}`

/** [what was done, by which version], from a line on. */
function deeds({ log }: Program, from: number): [unknown, unknown][] {
  return log
    .slice(from)
    .flatMap(({ did, version }): [unknown, unknown][] => (did === undefined ? [] : [[did, version]]))
}

const did = (what: string) => (line: LogLine) => line.did === what

async function startPair(...args: string[]) {
  const cluster = new CommandedCluster()
  const modules = [cluster.write('one.cjs', code(1)), cluster.write('two.cjs', code(1))]
  const foreground = await cluster.start(...modules.flatMap((module) => ['--module', module]), ...args)
  return { cluster, foreground, seen: foreground.log.length }
}

describe('a place that is handed over', () => {
  test('is so when the new process is loaded, and before it begins', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', code(1)), '--count', '2')
    expect(deeds(foreground, 0).filter(([what]) => what === 'began')).toHaveLength(2)
    const seen = foreground.log.length
    cluster.write('one.cjs', code(2))
    expect(await cluster.run('reload')).toMatchObject({ code: 0 })
    const swap = [
      ['loaded', 2],
      ['handed over', 1],
      ['began', 2],
      ['stopped', 1],
    ]
    expect(deeds(foreground, seen)).toEqual([...swap, ...swap])
  })

  test('stays so when the new code does not load in any group: nobody is asked to hand over', async () => {
    const { cluster, foreground, seen } = await startPair()
    cluster.write('one.cjs', code(2))
    cluster.write('two.cjs', 'throw new Error("no cache")')
    expect(await cluster.run('reload')).toMatchObject({ code: 1, errors: expect.stringContaining('Error: no cache') })
    expect(deeds(foreground, seen)).toEqual([['loaded', 2]])
  })

  test('is taken back, in every group, when one of the new processes does not begin', async () => {
    const { cluster, foreground, seen } = await startPair()
    const pids = async () => (await cluster.status()).processes.map(({ pid }) => pid)
    const before = await pids()
    cluster.write('one.cjs', code(2))
    cluster.write('two.cjs', code(2, "exports.onStart = () => { throw new Error('no port') }"))
    expect(await cluster.run('reload')).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/Worker2 #0: Error: no port/),
      text: '',
    })
    await foreground.lines(2, did('took back'))
    expect(await pids()).toEqual(before)
    const done = deeds(foreground, seen).map(([what, version]) => `${what} ${version}`)
    // The new process of the first group has begun, and ends before the old one has its place again.
    expect(done.filter((deed) => /began|stopped|back/.test(deed))).toEqual([
      'began 2',
      'took back 1',
      'stopped 2',
      'took back 1',
    ])
    cluster.write('two.cjs', code(3))
    expect(await cluster.run('reload')).toMatchObject({ code: 0 })
  })

  test.each([
    ['does not settle', 'new Promise(() => {})', /did not hand over: killed/],
    ['fails', "Promise.reject(new Error('busy'))", /the question could not be answered/],
  ])(
    'is free after the time for that, though its process %s: that is killed before the new one begins',
    async (_what, result, line) => {
      const cluster = new CommandedCluster()
      const module = cluster.write('one.cjs', code(1, `exports.onHandOver = () => ${result}`))
      const foreground = await cluster.start('--module', module, '--stop-timeout', '1')
      const [old] = await cluster.processes('Worker1')
      const seen = foreground.log.length
      cluster.write(
        'one.cjs',
        code(2, `exports.onStart = () => { try { process.kill(${old!.pid}, 0) } catch { say('began alone') } }`),
      )
      expect(await cluster.run('reload')).toMatchObject({ code: 0 })
      await foreground.line(({ msg = '' }) => line.test(msg))
      expect(deeds(foreground, seen)).toEqual([
        ['loaded', 2],
        ['began alone', 2],
      ])
    },
  )

  test('and cannot be taken back is filled by a new process', async () => {
    const cluster = new CommandedCluster()
    const module = cluster.write('one.cjs', code(1, "exports.onTakeBack = () => { throw new Error('gone') }"))
    const foreground = await cluster.start('--module', module)
    const [old] = await cluster.processes('Worker1')
    cluster.write('one.cjs', code(2, "exports.onStart = () => { throw new Error('no port') }"))
    const reload = cluster.run('reload')
    await foreground.line(({ msg = '' }) => msg.startsWith('could not take its place back'))
    cluster.write('one.cjs', code(3))
    expect(await reload).toMatchObject({ code: 1 })
    await foreground.line((line) => did('began')(line) && line.version === 3)
    expect(isAlive(old!.pid)).toBe(false)
  })

  test('by a process that crashes then is filled once, by the new one', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', code(1)))
    const [old] = await cluster.processes('Worker1')
    const obstacle = cluster.write('obstacle', '')
    cluster.write(
      'one.cjs',
      code(
        2,
        `exports.onStart = () => new Promise((resolve) => {
        const watcher = require('node:fs').watch(${JSON.stringify(obstacle)}, () => resolve(watcher.close()))
        say('begins')
      })`,
      ),
    )
    const reload = cluster.run('reload')
    await foreground.line(did('begins'))
    process.kill(old!.pid!, 'SIGKILL')
    // Longer than the pause before a crashed process is started again.
    await cluster.status()
    rmSync(obstacle)
    expect(await reload).toMatchObject({ code: 0 })
    expect(foreground.log.filter(did('loaded')).map(({ version }) => version)).toEqual([1, 2])
  })

  test('is left at a stop, which nothing holds up', async () => {
    const cluster = new CommandedCluster()
    const foreground = await cluster.start('--module', cluster.write('one.cjs', code(1)))
    cluster.write('one.cjs', code(2, "exports.onStart = () => (say('hangs'), new Promise(() => {}))"))
    const reload = cluster.run('reload')
    await foreground.line(did('hangs'))
    expect(await cluster.run('stop')).toMatchObject({ code: 0 })
    expect(await reload).toMatchObject({ code: 1 })
    expect(foreground.log.filter(did('took back'))).toEqual([])
    expect(await foreground.exit()).toBe(0)
  })
})
