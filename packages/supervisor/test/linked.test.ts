import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { CommandedCluster } from './commanded.ts'
import { fixture } from './program.ts'

/** A module whose process is linked once a file is there. */
function linkedBy(file: string, more = ''): string {
  return `exports.problems = () => (require('node:fs').existsSync(${JSON.stringify(file)}) ? [] : ['no register answers'])\n${more}`
}

async function clusterOf(code: (file: string) => string) {
  const cluster = new CommandedCluster()
  const file = cluster.path('linked')
  const module = cluster.write('one.cjs', code(file))
  return { cluster, link: () => writeFileSync(file, ''), module }
}

describe('a start in the background', () => {
  test('whose processes are not linked in time says so by its exit code, names them, and leaves them running', async () => {
    const { cluster, link, module } = await clusterOf(linkedBy)
    const started = await cluster.run('start', '-d', '--ready-timeout', '0', '--module', module, '--count', '2')
    expect(started).toMatchObject({ code: 4, errors: '' })
    expect(started.text).toMatch(/Holder +127\S+ +2 +\[OK\]\nWorker1 +none +2 +\[NOT LINKED\]\n/)
    expect(started.text).toContain('\nWorker1 #0: no register answers\nWorker1 #1: no register answers\n')
    expect(started.text).toMatch(/Runs in the background, pid \d+/)
    expect(await cluster.logged(({ msg }) => msg === 'not every process is linked')).toMatchObject({
      problems: ['Worker1 #0: no register answers', 'Worker1 #1: no register answers'],
    })

    const status = await cluster.run('status')
    expect(status.code).toBe(4)
    expect(status.text).toMatch(/Worker1 #1 +\d+s +no /)
    expect(status.text).toMatch(/\nWorker1 #0: no register answers\nWorker1 #1: no register answers\n$/)
    const json = await cluster.run('status', '--json')
    expect(json.code).toBe(4)
    const { problems, processes } = JSON.parse(json.text)
    expect(problems).toHaveLength(2)
    expect(processes.map(({ linked }: { linked: boolean | null }) => linked)).toEqual([null, null, null, false, false])

    link()
    expect(await cluster.run('status')).toMatchObject({
      code: 0,
      text: expect.stringMatching(/Worker1 #1 +\d+s +yes /),
    })
  })

  test('waits for them, and is done as soon as they are linked', async () => {
    const code = "let asked = 0\nexports.problems = () => (++asked > 2 ? [] : ['no register answers'])"
    const { cluster, module } = await clusterOf(() => code)
    const started = await cluster.run('start', '-d', '--ready-timeout', '600', '--module', module)
    expect(started).toMatchObject({ code: 0, text: expect.stringMatching(/Worker1 +none +1 +\[OK\]\n/) })
  })

  test('that is interrupted while it waits leaves the cluster running', async () => {
    const { cluster, module } = await clusterOf(linkedBy)
    const waits = /all is ready; waiting up to 600 s for processes to be linked/
    const { errors } = await cluster.runUntil(waits, 'start', '-d', '--ready-timeout', '600', '--module', module)
    expect(errors).toMatch(waits)
    expect((await cluster.status()).processes.map(({ condition }) => condition)).toEqual(Array(4).fill('ready'))
  })
})

const hasScript = spawnSync('script', ['--version']).error === undefined

describe('a start on a terminal', () => {
  test.skipIf(!hasScript)(
    hasScript
      ? 'shows under its table which processes are not linked, and warnings'
      : 'shows its table (skipped: the program script is not installed)',
    async () => {
      const { cluster, module } = await clusterOf((file) => linkedBy(file, "exports.warnings = ['onClos is no event']"))
      const command = `${process.execPath} ${fixture('commanded.mjs')} start --run-dir ${cluster.runDir} --module ${module} --ready-timeout 0`
      const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'ignore'] })
      let shown = ''
      for await (const chunk of terminal.stdout.setEncoding('utf8')) {
        shown += chunk
        if (shown.includes('Press Ctrl-C')) break
      }
      expect(await cluster.run('stop')).toMatchObject({ code: 0 })
      expect(stripVTControlCharacters(shown).replaceAll('\r', '')).toMatch(
        /\nHolder +\S+ +2 +\[OK\]\nWorker1 +none +1 +\[NOT LINKED\]\n─+\nWarning: Worker1: onClos is no event\nNot every process is linked; .*\nWorker1 #0: no register answers\nPress Ctrl-C to stop/,
      )
    },
  )
})

describe('warnings', () => {
  test('of a start and a reload are under the table, once for a group', async () => {
    const { cluster, module } = await clusterOf(() => "exports.warnings = ['onMesage is no event']")
    const started = await cluster.run('start', '-d', '--module', module, '--count', '2')
    expect(started).toMatchObject({ code: 0 })
    expect(started.text.match(/Warning: Worker1: onMesage is no event\n/g)).toHaveLength(1)
    cluster.write('one.cjs', "exports.warnings = ['onClos is no event']")
    const reloaded = await cluster.run('reload')
    expect(reloaded).toMatchObject({ code: 0 })
    expect(reloaded.text).toMatch(/reloaded 2 processes\nwarning: Worker1: onClos is no event\n$/)
  })
})
