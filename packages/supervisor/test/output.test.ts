import { execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants, mkdirSync, openSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { CommandedCluster } from './commanded.ts'
import { fixture } from './program.ts'

const LINES = 3000

/** Lines of the log, which may be dropped, too, and of several processes on one terminal, which may cut each other's. */
const MOST_OTHERS = 10

/** Writes more than fits anywhere, in all ways that there are. */
const noisy = `
exports.write = () => {
  for (let at = 0; at < ${LINES}; at += 3) {
    console.log('noise ' + 'x'.repeat(1000))
    process.stdout.write('noise ' + 'y'.repeat(1000) + '\\n')
    console.error('noise ' + 'z'.repeat(1000))
  }
}
exports.onStart = exports.write`

/** The command line of a cluster in the foreground with one worker that runs `code`. */
function foreground(cluster: CommandedCluster, code: string): string[] {
  const module = cluster.write('noisy.cjs', code)
  return [process.execPath, fixture('commanded.mjs'), 'start', '--run-dir', cluster.runDir, '--module', module]
}

function start(command: readonly string[], stdio: StdioOptions) {
  const [program, ...args] = command
  const child = spawn(program!, args, { stdio })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function untilReady(cluster: CommandedCluster): Promise<void> {
  while ((await cluster.run('ready')).code !== 0);
  const { processes } = await cluster.status()
  expect(processes.map(({ condition, restarts }) => [condition, restarts])).toEqual(processes.map(() => ['ready', 0]))
}

/** Reads on until each line is there or in the number of those that were dropped. */
async function expectAllWrittenOrCounted(output: Readable): Promise<void> {
  let dropped = 0
  let written = 0
  for await (const line of createInterface(output)) {
    dropped += Number(/(\d+) lines of output were dropped/.exec(line)?.[1] ?? 0)
    if (/noise [xyz]{1000}$/.test(line)) written += 1
    if (dropped > 0 && dropped + written >= LINES - MOST_OTHERS) break
  }
  expect(dropped + written).toBeLessThanOrEqual(LINES + MOST_OTHERS)
}

const unread: [string, (command: string[], cluster: CommandedCluster) => () => Readable][] = [
  [
    'socket',
    (command) => {
      // Of bash, so that standard error is the same.
      const { stdout } = start(['bash', '-c', 'exec "$@" 2>&1', 'bash', ...command], ['ignore', 'pipe', 'inherit'])
      return () => stdout!
    },
  ],
  [
    'pipe',
    (command, cluster) => {
      const path = cluster.path('pipe')
      execFileSync('mkfifo', [path])
      const descriptor = openSync(path, constants.O_RDWR)
      start(command, ['ignore', descriptor, descriptor])
      return () => new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) })
    },
  ],
  [
    'terminal',
    (command) => {
      const { stdout } = start(['script', '-qfec', command.join(' '), '/dev/null'], ['ignore', 'pipe', 'inherit'])
      return () => stdout!
    },
  ],
]

test.each(unread)(
  'a cluster serves while nobody reads its %s, and says how many lines are missing',
  async (_kind, startIn) => {
    const cluster = new CommandedCluster()
    const openOutput = startIn(foreground(cluster, noisy), cluster)
    await untilReady(cluster)
    await expectAllWrittenOrCounted(openOutput())
    expect((await cluster.run('stop')).code).toBe(0)
  },
)

const onSmallDisk = test.skipIf(process.getuid?.() !== 0)
const notRoot = process.getuid?.() === 0 ? '' : ' (skipped: only root mounts a tmpfs)'

/** A disk of 4 MB with 100 kB left; `free` makes room. */
function fillDisk(cluster: CommandedCluster): { path: (name: string) => string; free: () => void } {
  const disk = cluster.path('disk')
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk])
  onTestFinished(() => void execFileSync('umount', ['--lazy', disk]))
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(4_194_304 - 102_400))
  return { free: () => rmSync(ballast), path: (name) => join(disk, name) }
}

onSmallDisk.each([
  ['foreground', []],
  ['background', ['-d']],
] as const)(
  `a cluster in the %s serves while the disk of its log is full, and says how many lines are missing${notRoot}`,
  async (_where, flags) => {
    const cluster = new CommandedCluster()
    const { free, path } = fillDisk(cluster)
    const log = openSync(path('log'), 'a')
    start([...foreground(cluster, noisy), ...flags, '--log-file', path('log')], ['ignore', log, log])
    await untilReady(cluster)
    expect(statSync(path('log')).size).toBe(102_400)
    const watcher = watch(path('log'))
    let changed = once(watcher, 'change')
    free()
    for (;;) {
      const log = readFileSync(path('log'), 'utf8')
      const dropped = Array.from(log.matchAll(/"droppedLines":(\d+)/g), ([, lines]) => Number(lines))
      const written = log.match(/noise [xyz]{1000}\n/g)!.length
      const sum = dropped.reduce((total, lines) => total + lines, written)
      expect(sum).toBeLessThanOrEqual(LINES + MOST_OTHERS)
      if (dropped.length > 0 && sum >= LINES) break
      await changed
      changed = once(watcher, 'change')
    }
    watcher.close()
  },
)

test('a process in the background goes on while its master is stopped', async () => {
  const cluster = new CommandedCluster()
  const wroteAll = cluster.path('wrote-all')
  const code = `${noisy}
exports.onStart = () => process.on('SIGWINCH', () => {
  exports.write()
  require('node:fs').writeFileSync(${JSON.stringify(wroteAll)}, '')
})`
  await cluster.run('start', '-d', '--module', cluster.write('noisy.cjs', code))
  const [worker] = await cluster.processes('Worker1')
  const watcher = watch(cluster.folder)
  const written = once(watcher, 'change')
  process.kill(cluster.pid(), 'SIGSTOP')
  process.kill(worker!.pid!, 'SIGWINCH')
  await written
  watcher.close()
  process.kill(cluster.pid(), 'SIGCONT')
  await cluster.logged((line) => line.process === 'Worker1' && line.droppedLines !== undefined)
})

test('what a process wrote before it died is there, whatever it was', async () => {
  const cluster = new CommandedCluster()
  const code = `${noisy}
exports.onStart = () => setTimeout(() => {
  process.stdout.write('x'.repeat(500_000) + 'last words\\n', 'utf8', () => {
    throw new Error('died on purpose')
  })
})`
  const { stdout } = start(foreground(cluster, code), ['ignore', 'pipe', 'inherit'])
  const seen: string[] = []
  let length = 0
  for await (const line of createInterface(stdout!)) {
    // A line of another process may stand in the middle of one that is longer than a pipe takes at once.
    for (const part of line.match(/x{100,}/g) ?? []) length += part.length
    if (line.endsWith('last words')) seen.push('last words')
    if (line.includes('"msg":"uncaught exception"')) seen.push('exception')
    if (line.includes('starts again in')) break
  }
  expect([length, ...seen]).toEqual([500_000, 'last words', 'exception'])
})

test('a process whose output nobody reads ends soon all the same', async () => {
  const cluster = new CommandedCluster()
  const child = start(foreground(cluster, noisy), ['ignore', 'pipe', 'pipe'])
  const exited = once(child, 'exit')
  await untilReady(cluster)
  await cluster.run('stop')
  expect(await exited).toEqual([0, null])
})
