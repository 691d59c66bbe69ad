import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { TlsIdentity } from '../src/tls.ts'

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** Makes a CA and a certificate of it with openssl in a folder: ca.pem, cert.pem and key.pem. */
export function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  openssl('req', '-x509', ...NEW_KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '1', '-subj', '/CN=The CA')
  openssl('req', ...NEW_KEY, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=A process')
  const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
  openssl('x509', '-req', '-in', 'request.pem', ...ca, '-days', '1', '-out', 'cert.pem')
}

/** An identity in a cluster of its own. */
export function createIdentity(): TlsIdentity {
  const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-certificates-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  makeCertificates(folder)
  const read = (name: string) => readFileSync(join(folder, name))
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }
}
