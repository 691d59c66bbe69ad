import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeCertificates } from '../packages/protocol/test/certificates.ts'
import { useCluster } from './cluster.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-tls-'))
afterAll(() => rmSync(folder, { recursive: true }))
makeCertificates(folder)
const files = { GW_TLS_CA: 'ca.pem', GW_TLS_CERT: 'cert.pem', GW_TLS_KEY: 'key.pem' }
const env = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)]))
const read = (file: string) => readFileSync(join(folder, file))
const tls = { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }

describe('a cluster with TLS', () => {
  const cluster = useCluster({ env, gateways: 2, secretKey: 'the secret of this cluster' })

  it('works as any other', async () => {
    const [client, other] = [await cluster.connect(0), await cluster.connect(1)]
    client.send('hello')
    expect(await client.nextJson()).toMatchObject({ echo: 'hello' })
    const backend = cluster.newBackend({ tls })
    expect(await backend.isOnline(other.clientId)).toBe(true)
    await backend.sendToAll('x'.repeat(300_000))
    for (const { length } of [await client.next(), await other.next()]) expect(length).toBe(300_000)
  })

  it('lets nobody in without, who knows the secret', async () => {
    const refused = cluster.register.next({ level: 'warn', msg: /does not speak TLS/ })
    const backend = cluster.newBackend({ deadlineMs: 500 })
    await expect(backend.getAllClientIdList()).rejects.toMatchObject({ code: 'NO_REGISTER' })
    await refused
  })
})
