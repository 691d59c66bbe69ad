import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { browserSuite, browserTest } from './chromium.ts'
import { type Cluster, startCluster, useCluster } from './cluster.ts'
import { within } from './deadline.ts'
import { example, useBrowser } from './example-site.ts'
import { freePort } from './free-port.ts'
import { describeWithPhp } from './php.ts'
import { temporaryFolder } from './temporary-folder.ts'

const hasNc = spawnSync('nc', ['-h']).error === undefined
const run = promisify(execFile)

/** For the workers, which inherit it. */
beforeAll(async () => {
  process.env.PUSH_PORT = String(await freePort())
})
afterAll(() => {
  delete process.env.PUSH_PORT
})

describe('the example inner-push', () => {
  const cluster = useCluster({ events: example('inner-push/Events.ts'), workers: 2 })
  const line = '{"uid":"uid1","percent":"88%"}'

  it('passes the line on as it is to every client of the uid, and to no others', async () => {
    const clients = [await logIn(cluster, 'uid1'), await logIn(cluster, 'uid1'), await logIn(cluster, 'uid2')]
    expect(await answersTo(`${line}\n{"uid":"uid2"}\n`)).toBe('ok\nok\n')
    expect(await Promise.all(clients.map((client) => client.next()))).toEqual([line, line, '{"uid":"uid2"}'])
    for (const client of clients) expect(client.waiting).toBe(0)
  })

  it('takes the first message for the uid, and no later one', async () => {
    const client = await logIn(cluster, '1001')
    client.send('1002')
    expect(await answersTo('{"uid":1001}\n')).toBe('ok\n')
    expect(await client.next()).toBe('{"uid":1001}')
    expect(await cluster.backend().isUidOnline('1002')).toBe(false)
  })

  it('answers fail when nobody has the uid, or the line names none, and goes on', async () => {
    const client = await logIn(cluster, 'there')
    const lines = ['{"uid":"nobody"}', '{"percent":"88%"}', '{"uid":"0"}', 'null', '{"uid":"there"}']
    expect(await answersTo(`${lines.join('\n')}\n`)).toBe(`${'fail\n'.repeat(4)}ok\n`)
    expect(await client.next()).toBe('{"uid":"there"}')
  })

  it.each([
    ['a request that a page of another site posts', 'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'],
    ['an unfinished object', '{\n'],
    ['an empty line', '\n'],
  ])('ends the connection at the first line that is no JSON, and pushes nothing after it: %s', async (_what, lines) => {
    const client = await logIn(cluster, 'there')
    expect(await answersTo(`${lines}{"uid":"there"}\n`)).toBe('fail\n')
    expect(await answersTo('{"uid":"there","last":1}\n')).toBe('ok\n')
    expect(await client.next()).toBe('{"uid":"there","last":1}')
  })

  it('takes lines in any pieces, with all that JSON may hold', async () => {
    const client = await logIn(cluster, 'ünï')
    const odd = Buffer.from(`${JSON.stringify({ uid: 'ünï', text: '\u2028\u2029\r😀' })}`)
    const middle = odd.indexOf('😀') + 2
    const socket = socketToPush()
    // An answer to what is in front of a piece says that the piece was read.
    socket.write(Buffer.concat([Buffer.from('{"uid":"nobody"}\n'), odd.subarray(0, middle)]))
    await once(socket, 'readable')
    socket.end(Buffer.concat([odd.subarray(middle), Buffer.from('\r\n')]))
    expect(await text(socket)).toBe('fail\nok\n')
    expect(await client.next()).toBe(String(odd))
  })

  it('cuts off who never ends a line, and serves the others', async () => {
    const endless = socketToPush()
    const cut = new Promise((resolve) => endless.on('error', () => {}).once('close', resolve))
    const flood = () => {
      while (endless.writable && endless.write('x'.repeat(65_536)));
    }
    endless.on('drain', flood)
    flood()
    await within(cut, 'the end of an endless line')
    expect(await answersTo('{"uid":"nobody"}\n')).toBe('fail\n')
  })

  it.skipIf(!hasNc)(hasNc ? 'answers nc' : 'answers nc (skipped: nc is not installed)', async () => {
    const client = await logIn(cluster, 'of-nc')
    const command = `echo '{"uid":"of-nc","percent":"88%"}' | nc -N 127.0.0.1 ${process.env.PUSH_PORT}`
    const { stdout } = await within(run('sh', ['-c', command]), 'the end of nc')
    expect(stdout).toBe('ok\n')
    expect(await client.next()).toBe('{"uid":"of-nc","percent":"88%"}')
  })

  describeWithPhp('from PHP', () => {
    it("answers the manual's lines", async () => {
      const client = await logIn(cluster, 'of-php')
      const push = (uid: string) => run('php', ['-n', example('inner-push/push.php'), uid, '88%'])
      expect(await push('of-php')).toEqual({ stderr: '', stdout: 'ok\n' })
      expect(await push('nobody')).toEqual({ stderr: '', stdout: 'fail\n' })
      expect(await client.next()).toBe('{"uid":"of-php","percent":"88%"}')
    })
  })

  describe(browserSuite('in a browser'), () => {
    const browser = useBrowser()

    browserTest('shows a command that a shell takes for one word, whatever the uid is', async () => {
      const uid = `x';echo "$HOME";'`
      const url = new URL(pathToFileURL(example('inner-push/public/index.html')))
      url.search = String(new URLSearchParams({ gateway: cluster.url(), uid }))
      const page = await browser.open(url.href)
      const shown = await page.locator('#command').textContent()
      const { stdout } = await run('sh', ['-c', String(shown).replace(/ \| nc .*$/, '')])
      expect(JSON.parse(stdout)).toEqual({ percent: '88%', uid })
    })

    browserTest('shows what was pushed, also over the next connection', async () => {
      const url = new URL(pathToFileURL(example('inner-push/public/index.html')))
      url.search = String(new URLSearchParams({ gateway: cluster.url(), uid: 'browser' }))
      const page = await browser.open(url.href)
      const shows = (message: string) => page.locator('#received li').getByText(message, { exact: true }).waitFor()
      await isBound(cluster, 'browser')
      expect(await answersTo('{"uid":"browser","percent":"88%"}\n')).toBe('ok\n')
      await shows('{"uid":"browser","percent":"88%"}')
      expect(await page.locator('progress').getAttribute('value')).toBe('88')

      const [clientId] = await cluster.backend().getClientIdByUid('browser')
      const lost = page.getByText('trying again').waitFor()
      await cluster.backend().destroyClient(clientId!)
      await lost
      await page.getByText('Connected as browser.').waitFor()
      await isBound(cluster, 'browser')
      expect(await answersTo('{"uid":"browser","again":1}\n')).toBe('ok\n')
      await shows('{"uid":"browser","again":1}')

      await page.getByLabel("This page's uid").fill('another')
      await page.getByRole('button', { name: 'Connect' }).click()
      await isBound(cluster, 'another')
      expect(await answersTo('{"uid":"another","text":"<b>"}\n{"uid":"browser"}\n')).toBe('ok\nfail\n')
      await shows('{"uid":"another","text":"<b>"}')
    })
  })
})

it.each([1, 2])(
  'the example inner-push is reloaded, with %i workers: its port is there, and clients stay',
  async (workers) => {
    process.env.PUSH_PORT = String(await freePort())
    const cluster = await startCluster({ events: example('inner-push/Events.ts'), workers })
    const client = await logIn(cluster, 'uid1')
    expect(await answersTo('{"uid":"uid1"}\n')).toBe('ok\n')
    const { pid } = cluster.workers.child(0)
    cluster.workers.kill('SIGUSR1')
    await cluster.workers.line({ msg: 'reloaded', replaced: workers })
    expect(cluster.workers.child(0).pid).not.toBe(pid)
    expect(await answersTo('{"uid":"uid1","new":1}\n')).toBe('ok\n')
    expect(await client.take(2)).toEqual(['{"uid":"uid1"}', '{"uid":"uid1","new":1}'])
  },
)

it('the example inner-push has its port again after a change of its code', async () => {
  process.env.PUSH_PORT = String(await freePort())
  const read = (file: string) => readFileSync(example(`inner-push/${file}`), 'utf8')
  const folder = temporaryFolder({
    'Events.ts': read('Events.ts'),
    'package.json': '{"type":"module"}',
    'text-port.ts': read('text-port.ts'),
  })
  const cluster = await startCluster({ events: folder.path('Events.ts'), workerArgs: ['--watch'] })
  const client = await logIn(cluster, 'uid1')
  const kept = socketToPush()
  await once(kept, 'connect')
  const again = cluster.workers.next({ msg: 'ready' })
  folder.write('Events.ts', `${read('Events.ts')}// a change\n`)
  expect(await text(kept)).toBe('')
  await again
  expect(await answersTo('{"uid":"uid1"}\n')).toBe('ok\n')
  expect(await client.next()).toBe('{"uid":"uid1"}')
})

/** A client that has said its uid. */
async function logIn(cluster: Cluster, uid: string) {
  const client = await cluster.open()
  client.send(uid)
  await isBound(cluster, uid)
  return client
}

/** The recipe answers nothing to the uid, so who wants to know has to ask. */
async function isBound(cluster: Cluster, uid: string): Promise<void> {
  const asked = async () => {
    while (!(await cluster.backend().isUidOnline(uid)));
  }
  await within(asked(), `a client of uid ${uid}`)
}

function socketToPush(): Socket {
  return connect(Number(process.env.PUSH_PORT), '127.0.0.1')
}

/** What comes back after some lines and the end of the input, as `nc` does it. */
async function answersTo(lines: string): Promise<string> {
  const socket = socketToPush()
  socket.end(lines)
  return within(text(socket), `the answers to ${lines}`)
}
