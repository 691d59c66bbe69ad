import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificates } from '../../protocol/test/certificates.ts'
import { credentialOptions, explainRefusal, readCredentials } from '../src/credential-options.ts'
import { optionsFrom } from '../src/read-options.ts'
import { UsageError } from '../src/usage-error.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-credentials-'))
  makeCertificates(folder)
})
afterAll(() => rmSync(folder, { recursive: true }))

const read = (files: Record<string, string>) => {
  const paths = Object.entries(files).map(([name, file]) => [name, join(folder, file)])
  return readCredentials(optionsFrom(credentialOptions, Object.fromEntries(paths)))
}

describe('credentials', () => {
  it('are the files of the certificate; without any there is no TLS', () => {
    const { tls } = read({ 'tls-ca': 'ca.pem', 'tls-cert': 'cert.pem', 'tls-key': 'key.pem' })
    expect(Object.values(tls ?? {}).map((pem) => String(pem).split('\n')[0])).toEqual([
      '-----BEGIN CERTIFICATE-----',
      '-----BEGIN CERTIFICATE-----',
      '-----BEGIN PRIVATE KEY-----',
    ])
    expect(read({})).toEqual({ allowLegacy: false, secretKey: '', tls: undefined })
  })

  it('may begin with a byte order mark', () => {
    for (const name of ['ca.pem', 'cert.pem', 'key.pem'])
      writeFileSync(join(folder, `bom-${name}`), `\ufeff${readFileSync(join(folder, name), 'utf8')}`)
    const { tls } = read({ 'tls-ca': 'bom-ca.pem', 'tls-cert': 'bom-cert.pem', 'tls-key': 'bom-key.pem' })
    expect(tls).toEqual(read({ 'tls-ca': 'ca.pem', 'tls-cert': 'cert.pem', 'tls-key': 'key.pem' }).tls)
  })

  it('are refused when a file is missing, or belongs to another', () => {
    const files = { 'tls-ca': 'ca.pem', 'tls-cert': 'cert.pem', 'tls-key': 'key.pem' }
    for (const name of Object.keys(files) as (keyof typeof files)[]) {
      const { [name]: _left, ...others } = files
      expect(() => read(others)).toThrow(/^--tls-cert, --tls-key and --tls-ca belong together/)
    }
    writeFileSync(join(folder, 'none.pem'), 'not a certificate')
    for (const wrong of [{ 'tls-cert': 'none.pem' }, { 'tls-key': 'ca.key' }, { 'tls-ca': 'none.pem' }]) {
      expect(() => read({ ...files, ...wrong })).toThrow(UsageError)
    }
  })
})

it('a refusal to bind is told with what to do, and nothing else is touched', () => {
  const refusal = Object.assign(new Error('not there'), { advice: 'Do that.', code: 'PUBLIC_WITHOUT_SECRET' })
  expect(() => explainRefusal(refusal)).toThrow(new UsageError('not there. Do that.'))
  const taken = Object.assign(new Error('taken'), { code: 'EADDRINUSE' })
  expect(() => explainRefusal(taken)).toThrow(taken)
})
