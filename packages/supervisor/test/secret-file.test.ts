import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { credentialOptions, readCredentials } from '../src/credential-options.ts'
import { readOptions } from '../src/read-options.ts'
import { UsageError } from '../src/usage-error.ts'

const SECRET = 'the secret of this cluster'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-secret-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, content: string | Buffer, mode = 0o600): string {
  const file = join(folder, name)
  writeFileSync(file, content)
  chmodSync(file, mode)
  return file
}

const program = { command: 'start_it', describe: 'Starts it.', options: credentialOptions }

async function read(args: string[], env: Record<string, string> = {}) {
  const warnings: object[] = []
  const read = await readOptions(program, { args, env })
  if ('help' in read) throw new Error('asked for help')
  const log = { warn: (details: object) => void warnings.push(details) }
  return { ...readCredentials(read.values, log), warnings }
}

describe('--secret-key-file', () => {
  it.each([
    ['as it is', SECRET],
    ['without the line break at its end', `${SECRET}\n`],
    ['without that of Windows', `${SECRET}\r\n`],
    ['without a byte order mark', `\uFEFF${SECRET}\n`],
  ])('is read %s', async (_how, content) => {
    const file = write('secret', content)
    expect(await read(['--secret-key-file', file])).toMatchObject({ secretKey: SECRET, warnings: [] })
    expect(await read([], { GW_SECRET_KEY_FILE: file })).toMatchObject({ secretKey: SECRET })
    const config = write('config.json', '{"secretKeyFile": "./secret"}')
    expect(await read(['--config', config])).toMatchObject({ secretKey: SECRET })
  })

  it('keeps spaces, which may belong to the secret', async () => {
    expect(await read(['--secret-key-file', write('spaces', ' a b \n')])).toMatchObject({ secretKey: ' a b ' })
  })

  it.each([
    [
      'is missing',
      () => join(folder, 'missing'),
      /missing, which cannot be read: no such file or directory \(ENOENT\)\. Create it with/,
    ],
    ['is a folder', () => folder, /cannot be read: .*EISDIR/],
    ['is empty', () => write('empty', ''), /empty, which is empty\. `openssl rand -hex 24 > /],
    ['has a line break only', () => write('line', '\n'), /line, which is empty/],
    ['has several lines', () => write('lines', 'a\nb\n'), /lines, which has more than one line/],
    ['is far too long', () => write('long', Buffer.alloc(70_000, 'x')), /it has 70000 bytes/],
  ])('that %s is one line that names the file and the way out', async (_what, makeFile, message) => {
    const error: Error = await read(['--secret-key-file', makeFile()]).then(
      () => expect.fail('it was read'),
      (error) => error,
    )
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toMatch(/^--secret-key-file names \/[^\n]*$/)
    expect(error.message).toMatch(message)
  })

  it.skipIf(process.platform !== 'linux')('that cannot be read is one line, too', async () => {
    // For root as well, who may read every file.
    await expect(read(['--secret-key-file', '/proc/self/mem'])).rejects.toThrow(/^[^\n]*EIO[^\n]*$/)
  })

  it('and --secret-key together are a mistake, wherever they are given', async () => {
    const file = write('secret', SECRET)
    const twice = /^the secret is given twice: give --secret-key \(GW_SECRET_KEY\) or --secret-key-file, and not both$/
    await expect(read(['--secret-key-file', file, '--secret-key', 'S'])).rejects.toThrow(twice)
    await expect(read(['--secret-key-file', file], { GW_SECRET_KEY: 'S' })).rejects.toThrow(twice)
    expect(await read(['--secret-key-file', file], { GW_SECRET_KEY: '' })).toMatchObject({ secretKey: SECRET })
  })

  it.skipIf(process.platform === 'win32')('that every user can read is warned of', async () => {
    const file = write('open', SECRET, 0o644)
    expect((await read(['--secret-key-file', file])).warnings).toEqual([{ file }])
    expect((await read(['--secret-key-file', write('group', SECRET, 0o640)])).warnings).toEqual([])
  })
})

describe('--allow-legacy', () => {
  it.each([
    [[], {}, false],
    [['--allow-legacy'], {}, true],
    [['--allow-legacy', '--secret-key', SECRET], {}, true],
    [['--allow-legacy', 'all'], {}, true],
    [['--allow-legacy=loopback'], {}, 'loopback'],
    [['--allow-legacy', 'off'], { GW_ALLOW_LEGACY: 'all' }, false],
    [[], { GW_ALLOW_LEGACY: 'true' }, true],
    [[], { GW_ALLOW_LEGACY: 'loopback' }, 'loopback'],
  ] as const)('%j with %j is %j', async (args, env, allowLegacy) => {
    expect(await read([...args], env)).toMatchObject({ allowLegacy })
  })

  it.each([['--allow-legacy', 'lan'], ['--allow-legacy=']])('is not %j', async (...args) => {
    await expect(read(args)).rejects.toThrow(/^--allow-legacy must be one of off, loopback, all, not "/)
  })
})
