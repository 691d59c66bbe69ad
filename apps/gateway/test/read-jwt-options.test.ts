import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { optionsFrom } from '@gatewayworker/supervisor'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { gatewayOptions } from '../src/gateway-options.ts'
import { readJwtOptions } from '../src/read-jwt-options.ts'

const SECRET = 'a secret of 32 characters or more'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-jwt-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const read = (options: Parameters<typeof optionsFrom<typeof gatewayOptions>>[1]) =>
  readJwtOptions(optionsFrom(gatewayOptions, options))

it('the secret of tokens comes from an option or a file, without the line break at its end', () => {
  const file = join(folder, 'jwt-secret')
  writeFileSync(file, `${SECRET}\n`)
  expect(read({})).toBeUndefined()
  expect(read({ 'jwt-secret': SECRET })).toMatchObject({ secret: SECRET })
  expect(read({ 'jwt-secret-file': file })).toMatchObject({ publicKeys: undefined, secret: SECRET })
  const twice = 'give one of --jwt-secret, --jwt-secret-file and --jwt-key-file'
  expect(() => read({ 'jwt-secret': SECRET, 'jwt-secret-file': file })).toThrow(twice)
  expect(() => read({ 'jwt-key-file': file, 'jwt-secret-file': file })).toThrow(twice)
  expect(() => read({ 'jwt-secret-file': join(folder, 'missing') })).toThrow(
    /^--jwt-secret-file names .* cannot be read/,
  )
})
