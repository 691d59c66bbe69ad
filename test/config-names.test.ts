import { describe, expect, test } from 'vitest'
import { ConsoleCluster } from './console-cluster.ts'

describe('a config file in the working directory', () => {
  test.each(['ts', 'mts', 'cts', 'js', 'mjs', 'cjs', 'json'])('can be gatewayworker.config.%s', async (extension) => {
    const name = `gatewayworker.config.${extension}`
    const cluster = new ConsoleCluster({ [name]: '' })
    expect((await cluster.run('start', '--help')).text).toContain(`Starts the cluster of ${cluster.folder.path(name)}.`)
  })

  test('is refused where there are several, but what runs can be stopped', async () => {
    const cluster = new ConsoleCluster({ 'gatewayworker.config.mjs': '', 'gatewayworker.config.ts': '' })
    const files = ['gatewayworker.config.ts', 'gatewayworker.config.mjs'].map((name) => cluster.folder.path(name))
    expect(await cluster.run('start')).toEqual({
      code: 2,
      errors: `gatewayworker start: there are ${files.join(' and ')}: keep one of them, or name one with --config\n`,
      text: '',
    })
    expect((await cluster.run('stop')).code).toBe(0)
  })

  test('is refused in a format that nobody reads', async () => {
    const cluster = new ConsoleCluster({ 'gatewayworker.config.yaml': '' })
    const { code, errors } = await cluster.run('start')
    expect({ code, errors }).toEqual({
      code: 2,
      errors: expect.stringMatching(
        /gatewayworker\.config\.yaml cannot be read: a config file is called gatewayworker\.config\.ts, .*\n$/,
      ),
    })
  })

  test.each([
    ['UTF-8 with a byte order mark', 'utf8'],
    ['UTF-16, as PowerShell writes', 'utf16le'],
  ] as const)('can be JSON in %s', async (_what, encoding) => {
    const cluster = new ConsoleCluster({})
    const bytes = Buffer.from('\ufeff{"registers": [{"listen": "nonsense"}]}', encoding)
    cluster.folder.write('gatewayworker.config.json', bytes)
    expect((await cluster.run('start')).errors).toContain('must be HOST:PORT')
  })
})
