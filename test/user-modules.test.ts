import { mkdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { scripts, startCluster } from './cluster.ts'
import { within } from './deadline.ts'
import { Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'

describe('an Events file anywhere on disk', () => {
  it.each([
    ['an ES module', '{"type":"module"}'],
    ['a CommonJS module', '{}'],
  ])(
    'that is %s gets the running copy, its own files, JSON and packages, and stacks of its own lines',
    async (...given) => {
      const [, packageJson] = given
      const folder = temporaryFolder({ 'package.json': packageJson, 'data.json': '{"from":"JSON"}' })
      mkdirSync(folder.path('node_modules/some-package'), { recursive: true })
      folder.write('node_modules/some-package/package.json', '{"name":"some-package","main":"main.js"}')
      folder.write('node_modules/some-package/main.js', "exports.from = 'package'")
      folder.write(
        'own.ts',
        `import { Gateway } from '@gatewayworker/businessworker'
      export enum From { Here = 'own file' }
      export const reply = (text: string): Promise<void> => Gateway.sendToCurrentClient(text)
      export function fail(): never {
        throw new Error('in own.ts')
      }`,
      )
      folder.write(
        'Events.ts',
        `import data from './data.json' with { type: 'json' }
      import somePackage from 'some-package'
      import { From, fail, reply } from './own.ts'
      export async function onMessage(clientId: string, message: string): Promise<void> {
        if (message === 'fail') fail()
        await reply([data.from, somePackage.from, From.Here].join())
      }`,
      )
      const cluster = await startCluster({ events: folder.path('Events.ts') })
      const client = await cluster.open()
      client.send('?')
      expect(await client.next()).toBe('JSON,package,own file')
      const failed = cluster.workers.next({ msg: 'a handler threw' })
      client.send('fail')
      const { err } = (await failed) as unknown as { err: { stack: string } }
      expect(err.stack).toMatch(/own\.ts:5:/)
      expect(err.stack).toMatch(/Events\.ts:5:/)
    },
  )
})

describe("a router of one's own", () => {
  it('chooses the worker', async () => {
    const folder = temporaryFolder({
      'package.json': '{"type":"module"}',
      'router.ts': `import type { Router } from '@gatewayworker/gateway'
        const router: Router = (workers, client) => workers.toSorted((a, b) => a.key < b.key ? -1 : 1).at(-1)!
        export default router`,
    })
    const cluster = await startCluster({ gatewayArgs: ['--router', folder.path('router.ts')], workers: 3 })
    const clients = await Promise.all(Array.from({ length: 6 }, () => cluster.connect()))
    const { pid } = cluster.workers.child(2)
    expect(clients.map(({ workerPid }) => workerPid)).toEqual(clients.map(() => pid))
  })

  it.each([
    ['throws', "() => { throw new Error('no idea') }", 'the router threw'],
    ['chooses none of the workers', '() => ({})', 'the router returned an object (Object), and none of the workers'],
  ])('that %s is logged, and the client is served all the same', async (_what, router, msg) => {
    const folder = temporaryFolder({ 'router.mjs': `export const router = ${router}` })
    const cluster = await startCluster({ gatewayArgs: ['--router', folder.path('router.mjs')] })
    const { clientId } = await cluster.connect()
    expect(await cluster.gateways[0]!.line({ msg, clientId })).toMatchObject({ level: 'error' })
  })

  it('that is no function is refused by name', async () => {
    const folder = temporaryFolder({ 'router.mjs': 'export default {}' })
    const args = ['--listen', 'websocket://127.0.0.1:0', '--start-port', '0', '--router', folder.path('router.mjs')]
    const program = new Program(scripts.gateway, args)
    expect((await within(program.exited, 'the end of the gateway')).code).toBe(1)
    expect(program.lines.filter(({ level }) => level === 'fatal')).toMatchObject([
      { msg: expect.stringContaining(`--router ${folder.path('router.mjs')} must export a function`) },
    ])
  })

  it('may be one of those that are built in', async () => {
    const cluster = await startCluster({ gatewayArgs: ['--router', 'random'], workers: 2 })
    const clients = await Promise.all(Array.from({ length: 60 }, () => cluster.connect()))
    expect(new Set(clients.map(({ workerPid }) => workerPid)).size).toBe(2)
  })
})
