import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { describeWithEtcd, Etcd } from '../../../test/etcd.ts'
import { parseEtcdAddress, withoutCredentials } from '../src/etcd-address.ts'
import { signKey } from '../src/etcd-announcement.ts'
import { announce, eventually, listen } from './listen.ts'
import { keptLog, startRegister } from './peer.ts'

const A = '10.0.0.1:2900'
const B = '10.0.0.2:2900'
const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('an etcd address', () => {
  it.each([
    ['etcd://10.0.0.9', 'http://10.0.0.9:2379', 'default', undefined],
    ['etcd://10.0.0.9/', 'http://10.0.0.9:2379', 'default', undefined],
    ['etcds://etcd.example:4001/shop', 'https://etcd.example:4001', 'shop', undefined],
    ['ETCD://[::1]:2379/shop.eu_1', 'http://[::1]:2379', 'shop.eu_1', undefined],
    ['etcd://ann:p%40ss%2F@10.0.0.9/shop', 'http://10.0.0.9:2379', 'shop', { name: 'ann', password: 'p@ss/' }],
  ])('%s', (address, url, cluster, credentials) => {
    expect(parseEtcdAddress(address)).toEqual({
      credentials,
      name: withoutCredentials(address),
      prefix: `/gatewayworker/${cluster}/gateways/`,
      tls: {},
      url,
    })
  })

  it.each([
    'etcd://',
    'etcd:///shop',
    'etcd://ann:pass word@:2379',
    'etcd://10.0.0.9:99999',
    'etcd://ann:50%@10.0.0.9',
    'etcd://10.0.0.9/shop/eu',
    'etcd://10.0.0.9/?ca=ca.pem',
    'etcds://10.0.0.9/?cafile=ca.pem',
    'etcds://10.0.0.9/?ca=/no/such/file',
  ])('%s is none', (address) => {
    expect(() => listen([address])).toThrow(expect.objectContaining({ code: 'BAD_REGISTER_ADDRESS' }))
  })

  it('is shown without its password, and a wrong one is not shown', () => {
    expect(withoutCredentials('etcd://ann:p@ss/word@10.0.0.9/shop')).toBe('etcd://10.0.0.9/shop')
    expect(withoutCredentials('127.0.0.1:1236')).toBe('127.0.0.1:1236')
    expect(() => parseEtcdAddress('etcd://ann:secret@10.0.0.9:x')).toThrow(/^(?!.*secret)/)
  })
})

describeWithEtcd('etcd as a register', () => {
  let etcd: Etcd
  beforeAll(async () => {
    etcd = await Etcd.start()
  })
  afterAll(() => etcd.remove())

  it('does with a register, for PHP peers: both are told, and the union is heard', async () => {
    const { address } = await startRegister()
    announce(A, [etcd.address('mixed'), address])
    announce(B, [address])
    await listen([address]).until(A, B)
    await listen([etcd.address('mixed')]).until(A)
    await listen([etcd.address('mixed'), address]).until(A, B)
  })

  it('forgets a gateway whose lease somebody revoked for no longer than it takes to notice', async () => {
    announce(A, [etcd.address('revoked')])
    const { next, until } = listen([etcd.address('revoked')])
    await until(A)
    const { leases } = (await etcd.call('lease/leases', {})) as { leases: { ID: string }[] }
    for (const { ID } of leases) await etcd.call('lease/revoke', { ID })
    expect(await next()).toEqual([])
    await until(A)
  })

  it('lists no address that somebody wrote who does not know the secret', async () => {
    const cluster = etcd.address('forged')
    const log = keptLog()
    const prefix = '/gatewayworker/forged/gateways/'
    const forge = (key: string, value: string) =>
      etcd.call('kv/put', { key: base64(prefix + key), value: base64(value) })
    await forge(`${B}/copied`, signKey(`/gatewayworker/other/gateways/${B}/copied`, 's'))
    await forge(`${B}/copied`, signKey(`${prefix}${B}/first`, 's'))
    await forge(`${B}/empty`, '')
    await forge(B, signKey(prefix + B, 's'))
    announce(A, [cluster], { secretKey: 's' })
    const { lists, until } = listen([cluster], { log, secretKey: 's' })
    await until(A)
    await eventually(() => log.lines.filter((line) => line.includes('another secret')).length === 3)
    await forge(`${B}/first`, signKey(`${prefix}${B}/first`, 's'))
    await until(A, B)
    expect(lists).toEqual([])
    expect(log.lines.filter((line) => line.includes('another secret'))).toHaveLength(3)
  })

  it('says what is wrong when something else answers there', async () => {
    const site = createServer((_request, response) => response.end('<h1>Hello</h1>'))
    await once(site.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => {
      site.close()
    })
    const { port } = site.address() as AddressInfo
    const announcer = announce(A, [`etcd://127.0.0.1:${port}`])
    await eventually(() => announcer.problems.length > 0)
    expect(announcer.problems).toEqual([
      `etcd://127.0.0.1:${port}: it is no etcd 3.4 or later: its answer, of HTTP 200, is not JSON`,
    ])
  })
})

describeWithEtcd('an etcd', () => {
  const start = async (scheme?: 'https') => {
    const etcd = await Etcd.start(scheme)
    onTestFinished(() => etcd.remove())
    return etcd
  }

  it('that was stopped for longer than leases last shrinks no list', { timeout: 30_000 }, async () => {
    const etcd = await start()
    const { lists, next, until, watcher } = listen([etcd.address()])
    announce(A, [etcd.address()])
    await until(A)
    etcd.signal('SIGSTOP')
    const stopped = performance.now()
    await vi.waitUntil(() => watcher.problems.length > 0, { timeout: 6_000 }) // sooner than a lease can end
    await vi.waitUntil(() => performance.now() - stopped > 10_000, { timeout: 11_000 }) // later than its end
    etcd.signal('SIGCONT')
    await eventually(() => watcher.knows(A) === true)
    announce(B, [etcd.address()])
    expect((await next()).toSorted()).toEqual([A, B])
    expect(lists).toEqual([])
  })

  it('that has lost all it knew shrinks no list', async () => {
    const etcd = await start()
    const { lists, next, until, watcher } = listen([etcd.address()])
    announce(A, [etcd.address()])
    await until(A)
    await etcd.stop()
    await rm(etcd.folder, { recursive: true })
    await etcd.start()
    await eventually(() => watcher.knows(A) === true)
    announce(B, [etcd.address()])
    expect((await next()).toSorted()).toEqual([A, B])
    expect(lists).toEqual([])
  })

  it('with users wants one, and they may do what their role may', async () => {
    const etcd = await start()
    const range = { key: base64('/gatewayworker/shop/'), range_end: base64('/gatewayworker/shop0') }
    for (const user of ['root', 'ann']) {
      await etcd.call('auth/user/add', { name: user, password: `of ${user}` })
      await etcd.call('auth/role/add', { name: user })
      await etcd.call('auth/user/grant', { role: user, user })
    }
    await etcd.call('auth/role/grant', { name: 'ann', perm: { permType: 'READWRITE', ...range } })
    await etcd.call('auth/enable', {})
    const as = (user: string, cluster = 'shop') => etcd.address(cluster).replace('//', `//${user}@`)
    const ann = as('ann:of%20ann')
    announce(A, [ann])
    const { lists, until, watcher } = listen([ann])
    await until(A)
    for (const [stranger, reason] of [
      [as('ann:wrong'), 'authentication failed'],
      [as('ann:of%20ann', 'market'), 'permission denied'],
      [etcd.address('shop'), 'user name is empty'],
    ] as const) {
      const refused = listen([stranger]).watcher
      await eventually(() => refused.problems.length > 0)
      expect(refused.problems.join()).toContain(reason)
      expect(refused.problems.join()).not.toMatch(/ann|wrong/)
    }
    // It forgets the tokens that it has given.
    await etcd.stop()
    await etcd.start()
    await eventually(() => watcher.knows(A) === true)
    expect(lists).toEqual([])
  })

  it('with TLS is trusted if its certificate is', async () => {
    const etcd = await start('https')
    const trusting = `${etcd.address('shop')}?ca=${etcd.certificate}`
    announce(A, [trusting])
    await listen([trusting]).until(A)
    const { watcher } = listen([etcd.address('shop')])
    await eventually(() => watcher.problems.length > 0)
    expect(watcher.problems.join()).toContain('certificate')
  })
})
