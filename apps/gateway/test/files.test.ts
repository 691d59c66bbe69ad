import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { optionsFrom } from '@gatewayworker/supervisor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificates } from '../../../packages/protocol/test/certificates.ts'
import { gatewayOptions } from '../src/gateway-options.ts'
import { readJwtOptions } from '../src/read-jwt-options.ts'
import { readSslFiles } from '../src/ssl-files.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gateway-files-'))
  makeCertificates(folder)
})
afterAll(() => rmSync(folder, { recursive: true }))

function withMark(name: string): string {
  const file = join(folder, `bom-${name}`)
  writeFileSync(file, `\ufeff${readFileSync(join(folder, name), 'utf8')}`)
  return file
}

describe('a file that begins with a byte order mark', () => {
  it('can be the certificate for clients, and its key', () => {
    const files = { cert: withMark('cert.pem'), key: withMark('key.pem'), passphrase: undefined }
    expect(readSslFiles(files)).toEqual({
      cert: readFileSync(join(folder, 'cert.pem'), 'utf8'),
      key: readFileSync(join(folder, 'key.pem'), 'utf8'),
    })
  })

  it('can hold the keys of tokens', () => {
    const options = optionsFrom(gatewayOptions, { 'jwt-key-file': withMark('cert.pem') })
    expect(readJwtOptions(options)!.publicKeys).toBe(readFileSync(join(folder, 'cert.pem'), 'utf8'))
  })
})
