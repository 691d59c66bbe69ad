import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConsoleCluster } from './console-cluster.ts'
import { freePort } from './free-port.ts'
import { isRunning } from './program.ts'

const CONFIG = 'gatewayworker.config.json'

/** A folder for a cluster of a register and a worker, in which a user does this and that. */
class Place extends ConsoleCluster {
  readonly logFile = this.path('cluster.log')
  readonly #port: number

  private constructor(port: number) {
    super({})
    this.#port = port
  }

  static async make(): Promise<Place> {
    return new Place(await freePort())
  }

  get output(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  /** Calls a command in a folder, as a shell does that has gone there. */
  in(folder: string, ...args: string[]) {
    return this.runAfter(`cd "${this.path(folder)}" && export PWD`, ...args)
  }

  path(name: string): string {
    return this.folder.path(name)
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true })
  }

  /** Starts it in the background, its log outside of all folders that come and go. */
  async start(folder: string, ...args: string[]): Promise<void> {
    const { code, errors } = await this.in(folder, 'start', '-d', '--log-file', this.logFile, ...args)
    expect({ code, errors }).toEqual({ code: 0, errors: '' })
  }

  /** Code that says which one it is. */
  write(folder: string, version: string): void {
    mkdirSync(this.path(folder), { recursive: true })
    const registers = [{ listen: `127.0.0.1:${this.#port}` }]
    this.folder.write(
      join(folder, CONFIG),
      JSON.stringify({ registers, workers: [{ events: './Events.mjs', name: 'Chat' }] }),
    )
    this.folder.write(
      join(folder, 'Events.mjs'),
      `export const onMessage = () => {}
export const onWorkerStart = () => console.log('${version} works in ' + process.cwd())`,
    )
  }

  /** Lets `current` lead to a release. */
  link(release: string): void {
    symlinkSync(release, this.path('new'))
    renameSync(this.path('new'), this.path('current'))
  }
}

describe('releases, and a link to the current one', () => {
  test('commands find the cluster after the link has changed, and reload runs the new code', async () => {
    const place = await Place.make()
    place.write('releases/1', 'first')
    place.write('releases/2', 'second')
    place.link('releases/1')
    await place.start('current')
    expect(place.output).toContain(`first works in ${place.path('releases/1')}`)
    place.link('releases/2')
    expect(await place.in('current', 'start', '-d')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('already running'),
    })
    expect((await place.in('current', 'status')).code).toBe(0)
    expect((await place.in('current', 'reload')).code).toBe(0)
    expect(place.output).toContain(`second works in ${place.path('releases/2')}`)
    place.remove('releases/1')
    const { code, text } = await place.in('current', 'stop')
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/stopped\n$/) })
  })

  test('the same with --config, and restart starts the new release', async () => {
    const place = await Place.make()
    place.write('releases/1', 'first')
    place.write('releases/2', 'second')
    place.link('releases/1')
    const config = ['--config', `current/${CONFIG}`]
    await place.start('.', ...config)
    place.link('releases/2')
    const restarted = await place.in('.', 'restart', '-d', '--log-file', place.logFile, ...config)
    expect(restarted).toMatchObject({ code: 0, text: expect.stringContaining('stopped\n') })
    expect(place.output).toContain('second works in')
    expect((await place.in('.', 'stop', ...config)).text).toMatch(/stopped\n$/)
  })
})

describe('folders that are gone', () => {
  test('workers start again and reload where the folder of the start was removed', async () => {
    const place = await Place.make()
    place.write('app', 'it')
    mkdirSync(place.path('old'))
    const config = ['--config', place.path(`app/${CONFIG}`)]
    await place.start('old', ...config)
    place.remove('old')
    const { pid } = (await place.statusOf('Chat', ...config))!
    process.kill(pid, 'SIGKILL')
    for (;;) {
      const chat = await place.statusOf('Chat', ...config)
      if (chat?.condition === 'ready' && chat.pid !== pid) break
    }
    expect((await place.in('.', 'reload', ...config)).code).toBe(0)
    expect(place.output).toContain(`it works in ${place.path('.')}`)
    expect((await place.in('.', 'stop', ...config)).text).toMatch(/stopped\n$/)
  })

  test('a reload names what is missing', async () => {
    const place = await Place.make()
    place.write('app', 'it')
    await place.start('app')
    place.remove('app/Events.mjs')
    const { code, errors } = await place.in('app', 'reload')
    expect({ code, errors }).toEqual({
      code: 1,
      errors: `gatewayworker reload: Chat #0: ${place.path('app/Events.mjs')} is gone\n`,
    })
    await place.in('app', 'stop')
  })

  test.each([
    ['run folder', 'run'],
    ['run folder with the folder that it is in', '.'],
  ])('stop finds a cluster whose %s was removed', async (_what, removed) => {
    const place = await Place.make()
    place.write('app', 'it')
    const runDir = ['--run-dir', place.path('away/run')]
    mkdirSync(place.path('away'))
    mkdirSync(place.path('tmp'))
    const inApp = `cd "${place.path('app')}" && export PWD TMPDIR="${place.path('tmp')}"`
    await place.runAfter(inApp, 'start', '-d', '--log-file', place.logFile, ...runDir)
    const master = Number(readFileSync(place.path('away/run/master.pid'), 'utf8'))
    place.remove(join('away', removed))
    const { code, text } = await place.runAfter(inApp, 'stop', ...runDir)
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/stopped\n$/) })
    expect(isRunning(master)).toBe(false)
  })

  test('stop in another folder names the cluster that runs', async () => {
    const place = await Place.make()
    place.write('app', 'it')
    place.write('other', 'another')
    await place.start('app')
    const { text } = await place.in('other', 'stop')
    expect(text).toMatch(/^not running; there is another cluster: /)
    expect(text).toContain(`with --run-dir ${place.path('app/.gatewayworker')}`)
    await place.in('app', 'stop')
  })

  test('a command in a folder that was removed is answered with one line', async () => {
    const place = await Place.make()
    mkdirSync(place.path('gone'))
    const outcome = await place.runAfter(`cd "${place.path('gone')}" && rmdir "${place.path('gone')}"`, 'status')
    expect(outcome).toEqual({
      code: 2,
      errors: 'gatewayworker status: the working directory is gone: change to one that exists, and try again\n',
      text: '',
    })
  })

  test('a command in a folder that was replaced is about the new one', async () => {
    const place = await Place.make()
    place.write('app', 'old')
    place.write('new', 'new')
    const replace = `cd "${place.path('app')}" && export PWD && rm -r "${place.path('app')}" && mv "${place.path('new')}" "${place.path('app')}"`
    expect((await place.runAfter(replace, 'stop')).text).toMatch(/^not running/)
  })
})

describe('names of folders', () => {
  test.each(['with spaces', 'of two\nlines', 'für 张三', '100%25?#[x]', '-d'])('%j', async (name) => {
    const place = await Place.make()
    place.write(name, 'it')
    await place.start(name)
    expect((await place.in(name, 'reload')).code).toBe(0)
    expect(place.output.match(/it works in/g)).toHaveLength(2)
    expect((await place.in(name, 'stop')).text).toMatch(/stopped\n$/)
  })

  test('a run folder that is too long for a socket is found with another TMPDIR, too', async () => {
    const place = await Place.make()
    place.write('app', 'it')
    for (const name of ['one', 'other']) mkdirSync(place.path(name))
    const runDir = ['--run-dir', place.path(`${'x'.repeat(100)}/${'y'.repeat(100)}`)]
    const inApp = (tmp: string) => `cd "${place.path('app')}" && export PWD TMPDIR="${place.path(tmp)}"`
    const started = await place.runAfter(inApp('one'), 'start', '-d', '--log-file', place.logFile, ...runDir)
    expect(started.code).toBe(0)
    expect((await place.runAfter(inApp('other'), 'start', '-d', ...runDir)).errors).toMatch('already running')
    expect((await place.runAfter(inApp('other'), 'stop', ...runDir)).text).toMatch(/stopped\n$/)
  })

  test.each([
    [
      '/proc/none/run',
      /^gatewayworker start: \/proc\/none\/run cannot be made \(ENOENT\): name another folder with --run-dir\n$/,
    ],
    [
      '/dev/null/run',
      /^gatewayworker start: \/dev\/null\/run cannot be made \(ENOTDIR\): name another folder with --run-dir\n$/,
    ],
    [`/tmp/${'x'.repeat(300)}`, /cannot be made \(ENAMETOOLONG\): name another folder with --run-dir\n$/],
  ])('a run folder %s that cannot be is refused with one line', async (runDir, line) => {
    const place = await Place.make()
    place.write('app', 'it')
    const { code, errors } = await place.in('app', 'start', '-d', '--run-dir', runDir)
    expect({ code, errors }).toEqual({ code: 2, errors: expect.stringMatching(line) })
  })
})
