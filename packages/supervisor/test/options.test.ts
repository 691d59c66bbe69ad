import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../src/address.ts'
import type { OptionTable } from '../src/define-app.ts'
import * as types from '../src/option-types.ts'
import { optionsFrom, readOptions } from '../src/read-options.ts'
import { fixture, Program } from './program.ts'

const options = {
  compression: { default: false, describe: 'Compress', type: types.flag },
  events: { describe: 'The events', type: types.file },
  listen: {
    default: 'websocket://0.0.0.0:7272',
    describe: 'Where clients connect',
    type: types.url('websocket', 'text+ssl'),
  },
  'ping-interval': { default: 0, describe: 'Heartbeat', type: types.seconds },
  'register-address': { default: ['127.0.0.1:1236'], describe: 'Registers', type: types.list(types.registerAddress) },
  'secret-key': { default: '', describe: 'Secret', type: types.text },
  'start-port': { default: 2900, describe: 'LAN port', type: types.port },
} satisfies OptionTable

const program = { command: 'start_it', describe: 'Starts it.', options }

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'options-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function writeConfig(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}

async function read(args: string[], env: Record<string, string> = {}) {
  const read = await readOptions(program, { args, env })
  if ('help' in read) throw new Error('asked for help')
  return read.values
}

describe('where options come from', () => {
  test('the defaults', async () => {
    expect(await read([])).toMatchObject({
      compression: false,
      listen: { host: '0.0.0.0', port: 7272, scheme: 'websocket' },
      'ping-interval': 0,
      'register-address': ['127.0.0.1:1236'],
      'secret-key': '',
      'start-port': 2900,
    })
  })

  test('a flag wins over the environment, that over the config file, that over the default', async () => {
    const config = writeConfig('order.json', '{"startPort": 1, "pingInterval": 1, "secretKey": "file"}')
    const env = { GW_PING_INTERVAL: '2', GW_START_PORT: '2' }
    expect(await read(['--config', config, '--start-port', '3'], env)).toMatchObject({
      'ping-interval': 2,
      'secret-key': 'file',
      'start-port': 3,
    })
  })

  test('the environment names the config file, too, and may hold variables of other programs', async () => {
    const config = writeConfig('env.json', '{"ping-interval": 7}')
    expect(await read([], { GW_CONFIG: config, GW_SOMETHING_ELSE: '1' })).toMatchObject({ 'ping-interval': 7 })
  })

  test('a repeated flag, a comma-separated variable and an array make a list', async () => {
    const addresses = ['10.0.0.1:1', '[::1]:2', 'etcds://u:p@etcd.example/shop?ca=/ca.pem']
    const config = writeConfig('list.json', JSON.stringify({ registerAddress: addresses }))
    const flags = addresses.map((address) => `--register-address=${address}`)
    expect((await read(flags))['register-address']).toEqual(addresses)
    expect((await read([], { GW_REGISTER_ADDRESS: addresses.join(', ') }))['register-address']).toEqual(addresses)
    expect((await read(['--config', config]))['register-address']).toEqual(addresses)
  })

  test('a file in a config file is relative to that', async () => {
    const events = writeConfig('Events.ts', '')
    expect((await read(['--config', writeConfig('file.json', '{"events": "Events.ts"}')])).events).toBe(events)
  })

  test.each([
    ['config.ts', 'const port: number = 5\nexport default { startPort: port }'],
    ['config.mts', 'export default { startPort: await 5 }'],
    ['config.mjs', 'export default { startPort: 5 }'],
    ['config.cjs', 'module.exports = { startPort: 5 }'],
  ])('a config file can be %s', async (name, text) => {
    const running = new Program(fixture('show-options.mjs'), ['--config', writeConfig(name, text)])
    expect(await running.line(() => true)).toEqual({ 'start-port': 5 })
    expect(await running.exit()).toBe(0)
  })

  test('a relative file is relative to where the user called npm', async () => {
    writeConfig('here.json', '{ "startPort": 5 }')
    const byNpm = { INIT_CWD: directory, npm_lifecycle_event: 'start_it' }
    expect(await read(['--config', 'here.json'], byNpm)).toMatchObject({ 'start-port': 5 })
    // npm runs something else, which runs this.
    const byAnother = { ...byNpm, npm_lifecycle_event: 'test' }
    await expect(read(['--config', 'here.json'], byAnother)).rejects.toThrow(join(process.cwd(), 'here.json'))
  })

  test('a text keeps its zeros, a switch can be turned off', async () => {
    expect(await read(['--secret-key', '007', '--compression'])).toMatchObject({
      compression: true,
      'secret-key': '007',
    })
    expect(await read(['--compression=false'], { GW_COMPRESSION: '1' })).toMatchObject({ compression: false })
  })
})

describe('mistakes are named', () => {
  test.each([
    [['--foo'], 'unknown option --foo; see --help'],
    [['--startPort', '1'], 'unknown option --startPort; see --help'],
    [['--no-foo'], 'unknown option --no-foo; see --help'],
    [['foo'], 'unexpected argument "foo"; see --help'],
    [['--start-port'], '--start-port needs a value'],
    [['--start-port', '1', '--start-port', '2'], '--start-port is given more than once'],
    [['--start-port', 'x'], '--start-port must be a whole number from 0 to 65535, not "x"'],
    [['--start-port', '65536'], '--start-port must be a whole number from 0 to 65535, not "65536"'],
    [['--start-port', '1.5'], '--start-port must be a whole number from 0 to 65535, not "1.5"'],
    [['--start-port', ''], '--start-port must be a whole number from 0 to 65535, not ""'],
    [['--ping-interval=-1'], '--ping-interval must be a number of seconds, not "-1"'],
    [
      ['--listen', '0.0.0.0:1'],
      '--listen must look like websocket://0.0.0.0:7272, not "0.0.0.0:1"; it may be websocket, text+ssl',
    ],
    [
      ['--listen', 'text://0.0.0.0:1'],
      '--listen must look like websocket://0.0.0.0:7272, not "text://0.0.0.0:1"; it may be websocket, text+ssl',
    ],
    [
      ['--register-address', '::1:1'],
      '--register-address must be HOST:PORT, such as 127.0.0.1:1236 or [::1]:1236, not "::1:1"',
    ],
    [['--events', '/no/such/file.ts'], '--events must name a file that exists, not /no/such/file.ts'],
    [['--events', '/'], '--events must name a file, and / is none'],
    [['--events', ' '], '--events must be a path, not " "'],
    [['--events', `/${'x'.repeat(300)}`], expect.stringMatching(/^--events cannot be used: ENAMETOOLONG/)],
    [['--config', '/no/such.json'], '--config must name a file that exists, not /no/such.json'],
    [['--log-level', 'loud'], '--log-level must be one of trace, debug, info, warn, error, fatal, silent, not "loud"'],
  ])('%j', async (args, message) => {
    await expect(read(args)).rejects.toThrow(expect.objectContaining({ message, name: 'UsageError' }))
  })

  test.each(['https://example.com/?token=SECRET', 'ws:user:SECRET@example.com', 'example.com/?SECRET\n@'])(
    '--url %j, without what may be secret',
    (url) => {
      expect(() => types.clientUrl.parse(url, '/')).toThrow('must look like wss://example.com/ws, not ')
      expect(() => types.clientUrl.parse(url, '/')).not.toThrow('SECRET')
    },
  )

  test('a register with a misspelt scheme, without its password', () => {
    expect(() => types.registerAddress.parse('etc://user:SECRET@example.com:2379/shop', '/')).toThrow(
      /^must be HOST:PORT, or etcd:\/\/HOST:PORT\/CLUSTER$/,
    )
  })

  test('in the environment', async () => {
    await expect(read([], { GW_START_PORT: 'x' })).rejects.toThrow('GW_START_PORT must be a whole number')
  })

  test.each([
    ['{"startPorts": 1}', /^unknown option "startPorts" in .*mistake\.json$/],
    ['{"config": "x"}', /^unknown option "config" in /],
    ['{"startPort": true}', /^"startPort" in .*mistake\.json must be a whole number/],
    ['{"secretKey": 7}', /^"secretKey" in .*mistake\.json must be text$/],
    ['[]', /mistake\.json must hold an object of options$/],
    ['{', /mistake\.json cannot be read as JSON: /],
  ])('in the config file %j', async (text, message) => {
    const config = writeConfig('mistake.json', text)
    await expect(read(['--config', config])).rejects.toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), name: 'UsageError' }),
    )
  })

  test('in a program that asks for them', () => {
    expect(() => optionsFrom(options, { port: 1 } as object)).toThrow('unknown option "port"')
    expect(optionsFrom(options, { 'start-port': 1 })['start-port']).toBe(1)
  })

  test('with one line, no stack and exit code 2', async () => {
    const running = new Program(fixture('app.mjs'), ['--foo'])
    expect(await running.exit()).toBe(2)
    expect(running.stderr).toBe('start_fixture: unknown option --foo; see --help\n')
  })
})

test('--help explains each option with its default', async () => {
  const read = await readOptions(program, { args: ['--help'], env: {} })
  const help = 'help' in read ? read.help.replaceAll(/\s+/g, ' ') : ''
  for (const [name, option] of Object.entries(options))
    expect(help).toMatch(new RegExp(`--${name} .*${option.describe}`))
  expect(help).toContain('[default: websocket://0.0.0.0:7272]')
  expect(help).toContain('[default: 2900]')
  expect(help).toContain('[default: 127.0.0.1:1236]')
})

test('an address reads back as it was written', () => {
  for (const text of ['127.0.0.1:1236', '[::1]:0', 'host.example:65535']) {
    expect(formatAddress(parseAddress(text))).toBe(text)
  }
  for (const text of ['1236', ':1236', '127.0.0.1:', '[::g]:1', '[127.0.0.1]:1', 'a:65536', 'a b:1'])
    expect(() => parseAddress(text)).toThrow('must be HOST:PORT')
})
