import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { createServer as createTlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Examination } from '@gatewayworker/supervisor'
import { beforeEach, describe, expect, it } from 'vitest'
import { linkWorker } from '../../gateway/test/support/raw-peer.ts'
import { startGateway } from '../../gateway/test/support/start-gateway.ts'
import { connectClient } from '../../gateway/test/support/test-client.ts'
import { examineUrl } from '../src/index.ts'
import { impatientRelay, plainProxy, portOf, relay, webServer } from './proxies.ts'
import { closedAddress, codes, listen, serve } from './support.ts'

/** The port for clients of a gateway. */
let target: string
beforeEach(async () => {
  const gateway = await startGateway()
  await linkWorker(gateway)
  target = `127.0.0.1:${gateway.address.port}`
})

function examine(address: string, idleMs = 0): Promise<Examination> {
  return examineUrl(new URL(`ws://${address}/ws`), idleMs)
}

function words({ findings }: Examination): string {
  return findings.map(({ fix, what }) => `${what} ${fix}`).join('\n')
}

describe('nothing is found', () => {
  it('where the gateway is reached directly, by way of a proxy, and after some silence', async () => {
    expect(await examine(target)).toMatchObject({ checks: { length: 3 }, findings: [] })
    expect((await examine(await relay(target))).findings).toEqual([])
    expect((await examine(await impatientRelay(target, 5_000), 200)).findings).toEqual([])
  })
})

describe('what keeps clients away is named rightly', () => {
  it('without the token of the address', async () => {
    const url = new URL(`ws://${await webServer(401)}/ws?token=confidential`)
    expect(JSON.stringify(await examineUrl(url, 0))).not.toContain('confidential')
  })

  it.each([
    [400, 'GW-URL-NO-UPGRADE', '', 'proxy_set_header Upgrade $http_upgrade'],
    [400, 'GW-URL-NO-HTTP', 'The plain HTTP request was sent to HTTPS port', 'wss://'],
    [401, 'GW-URL-FORBIDDEN', '', '?token='],
    [403, 'GW-URL-FORBIDDEN', '', '--allow-origin http://127.0.0.1:'],
    [404, 'GW-URL-NOT-FOUND', '', 'location /ws'],
    [429, 'GW-URL-LIMITED', '', '--trusted-proxy'],
    [503, 'GW-URL-BAD-GATEWAY', '', 'proxy_pass'],
    [502, 'GW-URL-BAD-GATEWAY', '', 'proxy_pass'],
    [200, 'GW-URL-NO-WEBSOCKET', '<html>', 'status 200'],
  ])('status %i: %s', async (status, code, body, expected) => {
    const examination = await examine(await webServer(status, body))
    expect(codes(examination)).toEqual([code])
    expect(words(examination)).toContain(expected)
  })

  it('a gateway that takes pages of another site, or no more clients', async () => {
    const strict = await startGateway({ allowOrigins: ['https://shop.example'] })
    expect(codes(await examine(`127.0.0.1:${strict.address.port}`))).toEqual(['GW-URL-FORBIDDEN'])
    const full = await startGateway({ maxConnections: 1 })
    await connectClient(full)
    const examination = await examine(`127.0.0.1:${full.address.port}`)
    expect(codes(examination)).toEqual(['GW-URL-LIMITED'])
    expect(words(examination)).toContain('--max-connections')
  })

  it('a redirect', async () => {
    const examination = await examine(await webServer(301, '', { location: 'https://elsewhere.example/' }))
    expect(codes(examination)).toEqual(['GW-URL-REDIRECT'])
    expect(words(examination)).toContain('https://elsewhere.example/')
  })

  it.each([
    ['https://user:SECRET@elsewhere.example/push?token=SECRET#SECRET', 'https://elsewhere.example/push'],
    ['/push?token=SECRET', '/push'],
    ['//elsewhere.example/push?SECRET', '//elsewhere.example/push'],
    ['http://[SECRET', 'an address that is none'],
  ])('a redirect to %j, without what may be secret', async (location, shown) => {
    const examination = await examine(await webServer(301, '', { location }))
    expect(words(examination)).toContain(`${shown}: browsers do not follow`)
    expect(words(examination)).not.toContain('SECRET')
  })

  it('a proxy in front of a gateway that strips the Upgrade headers', async () => {
    const examination = await examine(await plainProxy(target))
    expect(codes(examination)).toEqual(['GW-URL-NO-UPGRADE'])
    expect(words(examination)).toContain('proxy_set_header Connection "upgrade"')
  })

  it('a name that does not exist, and a port where nobody listens', async () => {
    expect(codes(await examine('push.invalid'))).toEqual(['GW-DNS'])
    expect(codes(await examine(await closedAddress()))).toEqual(['GW-URL-UNREACHABLE'])
  })

  it('a server that speaks no HTTP', async () => {
    const examination = await examine(await serve((socket) => socket.end('220 mail.example ESMTP\r\n')))
    expect(codes(examination)).toEqual(['GW-URL-NO-HTTP'])
  })

  it('a proxy that lets the handshake through, and nothing after it', async () => {
    expect(codes(await examine(await relay(target, (chunk) => chunk === 0)))).toEqual(['GW-URL-SILENT'])
  })

  it('a gateway that closes its clients, as no worker comes', async () => {
    const { address } = await startGateway({ noWorkerTimeoutMs: 50 })
    const examination = await examine(`127.0.0.1:${address.port}`)
    expect(codes(examination)).toEqual(['GW-URL-CLOSED'])
    expect(words(examination)).toMatch(/with code 1013.*No worker came/s)
  })

  it('a proxy that cuts silent connections', async () => {
    const examination = await examine(await impatientRelay(target, 1_500), 10_000)
    expect(codes(examination)).toEqual(['GW-URL-IDLE-CUT'])
    expect(words(examination)).toMatch(/was cut off after 1\.\d s.*--ping-interval 1 or less.*proxy_read_timeout/s)
  })

  it('a way that forgets silent connections and tells nobody', async () => {
    // The handshake and the first ping; in the other direction their answers.
    const examination = await examine(await relay(target, (chunk) => chunk < 2), 100)
    expect(codes(examination)).toEqual(['GW-URL-IDLE-CUT'])
    expect(words(examination)).toContain('nobody was told')
  })
})

describe('TLS', () => {
  /** A proxy that speaks TLS, with a certificate of fixtures/, in front of the gateway. */
  function tlsProxy(certificate: string): Promise<string> {
    const pem = readFileSync(fixture(certificate))
    return listen(
      createTlsServer({ cert: pem, key: pem }, (client) => {
        const upstream = connect(portOf(target), '127.0.0.1')
        upstream.on('error', () => {})
        client.on('error', () => {})
        client.on('close', () => upstream.destroy())
        client.pipe(upstream).pipe(client)
      }),
    )
  }

  /** Examines addresses in a process that trusts the CA of fixtures/, which is known at a start only. */
  async function examineTrusting(addresses: string[]): Promise<Examination[]> {
    const urls = addresses.map((address) => `wss://localhost:${portOf(address)}/ws`)
    const code = `import { examineUrl } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
      const looks = ${JSON.stringify(urls)}.map((url) => examineUrl(new URL(url), 0))
      process.stdout.write(JSON.stringify(await Promise.all(looks)))`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: fixture('ca.pem') },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [examinations] = await Promise.all([json(child.stdout), once(child, 'exit')])
    return examinations as Examination[]
  }

  it('that is good is not found fault with; an expired, foreign or unknown certificate and a plain port are', async () => {
    const proxies = await Promise.all(['good.pem', 'old.pem', 'other.pem', 'self.pem'].map(tlsProxy))
    const found = (await examineTrusting([...proxies, target])).map(codes)
    expect(found).toEqual([
      [],
      ['GW-URL-TLS-EXPIRED'],
      ['GW-URL-TLS-NAME'],
      ['GW-URL-TLS-UNTRUSTED'],
      ['GW-URL-NO-TLS'],
    ])
  })
})

function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
}
