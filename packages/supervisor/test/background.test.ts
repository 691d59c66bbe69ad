import { readFileSync, renameSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CommandedCluster, isAlive } from './commanded.ts'

test('start -d returns when all is ready, and leaves a cluster that logs into one file', async () => {
  const cluster = new CommandedCluster()
  const code =
    "exports.onStart = (index) => console.log('plain words of ' + index); exports.onStop = () => console.error('last words')"
  const { code: exitCode, text } = await cluster.run(
    'start',
    '-d',
    '--module',
    cluster.write('one.cjs', code),
    '--count',
    '2',
  )
  expect(exitCode).toBe(0)
  expect(text).toMatch(/Worker1 +none +2 +\[OK\]/)
  expect(text).toContain(`pid ${cluster.pid()}; the log is ${cluster.path('run/gatewayworker.log')}`)
  expect((await cluster.status()).processes.map(({ condition }) => condition)).toEqual(Array(5).fill('ready'))

  await cluster.run('stop')
  const log = readFileSync(cluster.path('run/gatewayworker.log'), 'utf8')
  for (const line of ['plain words of 0', 'plain words of 1', 'last words']) expect(log.split('\n')).toContain(line)
  expect(log).toMatch(/"process":"Holder".*"msg":"ready"/)
  expect(log).toMatch(/"process":"master","msg":"stopped"}\n$/)
})

test('start -d shows why it does not start, and leaves nothing', async () => {
  const cluster = new CommandedCluster()
  const code = "\nexports.onStart = () => { throw new Error('no database') }"
  const { code: exitCode, errors } = await cluster.run('start', '-d', '--module', cluster.write('one.cjs', code))
  expect(exitCode).toBe(1)
  expect(errors).toMatch(/^commanded start: Worker1 #0: Error: no database\n.*one\.cjs:2/)
  const log = readFileSync(cluster.path('run/gatewayworker.log'), 'utf8')
  const pids = Array.from(log.matchAll(/"pid":(\d+)/g), (match) => Number(match[1]))
  expect(pids.length).toBeGreaterThan(0)
  expect(pids.filter(isAlive)).toEqual([])
  expect(await cluster.run('status')).toMatchObject({ code: 3 })
})

test.each([
  ['SIGUSR2', 0],
  ['SIGHUP', 1],
] as const)('%s opens the log file again, for the lines of all processes, and reloads %i', async (signal, reloads) => {
  const cluster = new CommandedCluster()
  const code = 'exports.onStart = () => process.once(\'SIGWINCH\', () => console.log(\'{"msg":"still here"}\'))'
  await cluster.run('start', '-d', '--module', cluster.write('one.cjs', code))
  renameSync(cluster.path('run/gatewayworker.log'), cluster.path('run/rotated.log'))
  process.kill(cluster.pid(), signal)
  if (reloads > 0) await cluster.logged(({ msg }) => msg === 'reloaded')
  // After an answer of the master the signal that was sent before has been heard.
  const [worker] = await cluster.processes('Worker1')
  process.kill(worker!.pid!, 'SIGWINCH')
  await cluster.logged(({ msg }) => msg === 'still here')
  await cluster.run('stop')
  const rotated = readFileSync(cluster.path('run/rotated.log'), 'utf8')
  expect(rotated).toContain('"msg":"all ready"')
  expect(rotated).not.toMatch(/reload|still here|"msg":"stopped"/)
  const log = readFileSync(cluster.path('run/gatewayworker.log'), 'utf8')
  expect(log.match(/"msg":"reloaded"/g)?.length ?? 0).toBe(reloads)
})

test('--log-file says where the log is', async () => {
  const cluster = new CommandedCluster()
  await cluster.run('start', '-d', '--log-file', cluster.path('own.log'), '--module', cluster.write('one.cjs', ''))
  expect((await cluster.status()).logFile).toBe(cluster.path('own.log'))
  await cluster.run('stop')
  expect(readFileSync(cluster.path('own.log'), 'utf8')).toContain('"msg":"all ready"')
})
