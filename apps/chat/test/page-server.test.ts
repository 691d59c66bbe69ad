import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingMessage, request, type Server } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPageServer } from '../src/page-server.ts'

const startPage = fileURLToPath(new URL('../dist/start-page.js', import.meta.url))

describe('the page server', () => {
  let server: Server

  beforeAll(async () => {
    server = createPageServer({ gatewayPort: 7272 })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => {
    server.close()
  })

  /** Asks for exactly this path: `fetch` would tidy it up first. */
  async function get(path: string, options: { method?: string; headers?: Record<string, string> } = {}) {
    const { port } = server.address() as AddressInfo
    const asked = request({ host: '127.0.0.1', port, path, ...options }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    return { status: response.statusCode, headers: response.headers, body: await text(response) }
  }

  it.each([
    ['/', 'text/html; charset=utf-8'],
    ['/index.html?x=1', 'text/html; charset=utf-8'],
    ['/chat.css', 'text/css; charset=utf-8'],
    ['/chat.js', 'text/javascript; charset=utf-8'],
    ['/favicon.svg', 'image/svg+xml'],
  ])('serves %s as %s', async (path, contentType) => {
    const { status, headers, body } = await get(path)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe(contentType)
    expect(Buffer.byteLength(body)).toBe(Number(headers['content-length']))
  })

  it('serves every file that the page names', async () => {
    const { body } = await get('/')
    const files = [...body.matchAll(/(?:href|src)="([^"]+)"/g)].map((match) => match[1])
    expect(files).toContain('chat.js')
    for (const file of files) expect((await get(`/${file}`)).status).toBe(200)
  })

  it('tells the page the port of the gateway, and lets it connect there and nowhere else', async () => {
    const { headers, body } = await get('/config.json')
    expect(JSON.parse(body)).toEqual({ gatewayPort: 7272 })
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain("connect-src 'self' ws://*:7272 wss://*:7272;")
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
  })

  it('sends the security headers with every answer', async () => {
    for (const path of ['/', '/config.json', '/nothing.html']) {
      const { headers } = await get(path)
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['referrer-policy']).toBe('no-referrer')
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    }
  })

  it('lets the browser keep a file as long as it is unchanged', async () => {
    const { headers } = await get('/chat.css')
    expect(headers['cache-control']).toBe('no-cache')
    const again = await get('/chat.css', { headers: { 'if-none-match': String(headers.etag) } })
    expect(again).toMatchObject({ status: 304, body: '' })
    expect((await get('/chat.css', { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  it.each([
    '/../package.json',
    '/%2e%2e/package.json',
    '/..%2fpackage.json',
    '/..\\package.json',
    '//etc/passwd',
    '/chat.css/../../package.json',
    '/index.html%00',
    '/.hidden.html',
    '/package.json',
    '/Events.ts',
    '/toString.js',
    '/nothing.html',
    '/%',
  ])('has nothing at %s', async (path) => {
    expect((await get(path)).status).toBe(404)
  })

  it.each([256, 15_000])('has nothing at a file name of %i letters, which no file system takes', async (length) => {
    expect((await get(`/${'a'.repeat(length)}.html`)).status).toBe(404)
  })

  it('answers HEAD without a body and refuses other methods', async () => {
    expect(await get('/', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
    const refused = await get('/', { method: 'POST' })
    expect(refused).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  })
})

describe('start-page', () => {
  const started: ChildProcess[] = []
  afterAll(() => {
    for (const child of started) child.kill('SIGKILL')
  })

  function start(...args: string[]) {
    const child = fork(startPage, args, { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    started.push(child)
    return { child, exit: once(child, 'exit'), stderr: text(child.stderr!) }
  }

  it('says when it is ready, survives the Ctrl-C meant for its parent and ends on SIGTERM', async () => {
    const { child, exit } = start('--port', '0')
    expect((await once(child, 'message'))[0]).toBe('ready')
    child.kill('SIGINT')
    child.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  })

  it('ends with its parent', async () => {
    const { child, exit } = start('--port', '0')
    await once(child, 'message')
    child.disconnect()
    expect(await exit).toEqual([0, null])
  })

  it('ends on Ctrl-C when it runs alone', async () => {
    const child = spawn(process.execPath, [startPage, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    started.push(child)
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  it('names the port and the option when the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { exit, stderr } = start('--port', String(port))
    expect((await exit)[0]).toBe(1)
    expect(await stderr).toBe(`port ${port} on 127.0.0.1 is already in use; choose another with --port\n`)
    other.close()
  })

  it.each([
    [['--prot', '1'], '--prot'],
    [['--port', 'many'], "--port must be a port from 0 to 65535, not 'many'"],
    [['--gateway-port', '0'], "--gateway-port must be a port from 1 to 65535, not '0'"],
  ])('refuses %j', async (args, message) => {
    const { exit, stderr } = start(...args)
    expect((await exit)[0]).toBe(1)
    expect(await stderr).toContain(message)
    expect((await stderr).trimEnd()).not.toContain('\n')
  })
})
