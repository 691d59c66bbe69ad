import { createHmac } from 'node:crypto'
import { request } from 'node:http'
import { expect, it } from 'vitest'
import { startCluster } from './cluster.ts'

const SECRET = 'what the site signs its tokens with'

/** A token as any site can make it (RFC 7519), without a library. */
function sign(claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const unsigned = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${unsigned}.${createHmac('sha256', SECRET).update(unsigned).digest('base64url')}`
}

/** What is answered to a handshake that does not succeed. */
function refusal(url: string, headers: Record<string, string>): Promise<string> {
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    'sec-websocket-version': '13',
  }
  return new Promise((resolve, reject) => {
    const sent = request(url.replace('ws:', 'http:'), { headers: { ...upgrade, ...headers } })
    sent.once('upgrade', () => reject(new Error('it was let in')))
    sent.once('response', async (response) => resolve(`${response.statusCode} ${(await response.toArray()).join('')}`))
    sent.once('error', reject)
    sent.end()
  })
}

it('a gateway behind a proxy lets in whom it should, knows who and where they are, and counts the others', async () => {
  const limits = ['--max-connections-per-address', '1', '--message-rate', '10', '--rate-policy', 'close']
  const proxy = ['--trusted-proxy', 'loopback', '--allow-origin', 'https://*.example.com']
  const jwt = ['--jwt-secret', SECRET, '--jwt-from', 'query:token']
  const cluster = await startCluster({ events: 'guarded.ts', gatewayArgs: [...limits, ...proxy, ...jwt] })
  const url = `${cluster.url()}/chat?room=1`
  const token = sign({ role: 'admin', sub: 'ann' })
  const from = (address: string) => ({ origin: 'https://chat.example.com', 'x-forwarded-for': address })
  const connect = (address: string) => cluster.open(0, `/chat?room=1&token=${token}`, { headers: from(address) })

  const ann = await connect('192.0.2.1')
  expect(await ann.next()).toBe('for ann')
  expect(await ann.nextJson()).toEqual({
    claims: { role: 'admin', sub: 'ann' },
    remoteAddress: '192.0.2.1',
    uri: '/chat?room=1',
  })

  expect(await refusal(url, from('192.0.2.2'))).toBe('401 A valid token is needed: there is none.\n')
  expect(await refusal(`${url}&token=${token}x`, from('192.0.2.3'))).toBe(
    '401 A valid token is needed: the token is not valid.\n',
  )
  expect(await refusal(url, { ...from('192.0.2.4'), origin: 'https://evil.example' })).toBe(
    '403 Pages of this origin may not connect.\n',
  )
  expect(await refusal(url, from('192.0.2.1'))).toBe('429 You have too many connections.\n')

  const flooding = await connect('2001:db8::1')
  for (let count = 0; count < 50; count += 1) flooding.send('x')
  expect(await flooding.isClosed()).toEqual({ code: 4002, reason: 'sends too much' })

  const gateway = cluster.gateways[0]!
  expect(await gateway.line({ reason: 'token' })).toMatchObject({ address: '192.0.2.2', level: 'warn', refused: 1 })
  expect(await gateway.line({ reason: 'origin' })).toMatchObject({ origin: 'https://evil.example' })
  expect(await gateway.line({ reason: 'connectionsPerAddress' })).toMatchObject({ address: '192.0.2.1' })
  expect(await gateway.line({ msg: 'a client sends too much' })).toMatchObject({ address: '2001:db8::1' })
  expect(gateway.output).not.toContain(token)
})
