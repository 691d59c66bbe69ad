import { describe, expect, it } from 'vitest'
import { findAddressToBind, isLoopback, isPublic } from '../src/network-address.ts'

describe('an address', () => {
  it.each(['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1'])('%s is loopback, and not public', (address) => {
    expect([isLoopback(address), isPublic(address)]).toEqual([true, false])
  })

  it.each([
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.0.1',
    'fd00::1',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
  ])('%s is neither loopback nor public', (address) => {
    expect([isLoopback(address), isPublic(address)]).toEqual([false, false])
  })

  it.each(['0.0.0.0', '::', '::ffff:0.0.0.0', '8.8.8.8', '172.32.0.1', '11.0.0.1', '100.64.0.1', '2001:db8::1', '::2'])(
    '%s is public',
    (address) => {
      expect([isLoopback(address), isPublic(address)]).toEqual([false, true])
    },
  )

  it.each(['', 'localhost', '127.0.0.1.example.org'])('%j is none, and no loopback', (name) => {
    expect(isLoopback(name)).toBe(false)
  })

  it('to bind is refused where everybody could come and nobody is asked for a secret', async () => {
    for (const host of ['0.0.0.0', '::', '8.8.8.8']) {
      await expect(findAddressToBind(host)).rejects.toMatchObject({
        advice: expect.stringContaining('--secret-key'),
        code: 'PUBLIC_WITHOUT_SECRET',
        message: expect.stringContaining(host),
      })
      expect(await findAddressToBind(host, 'a secret of its own')).toBe(host)
    }
    expect(await findAddressToBind('localhost')).toMatch(/^(127\.0\.0\.1|::1)$/)
    await expect(findAddressToBind('no such host')).rejects.toMatchObject({ syscall: 'getaddrinfo' })
  })

  it('to bind is refused with a short secret where other hosts come, and not on loopback', async () => {
    for (const host of ['0.0.0.0', '::', '8.8.8.8', '10.0.0.1', '192.168.1.1', 'fd00::1']) {
      await expect(findAddressToBind(host, 'fifteen letters')).rejects.toMatchObject({
        advice: expect.stringContaining('openssl rand'),
        code: 'WEAK_SECRET',
        message: expect.stringMatching(new RegExp(`^(?!.*fifteen).*16.*${host}`)),
      })
      expect(await findAddressToBind(host, 'sixteen  letters')).toBe(host)
    }
    for (const host of ['127.0.0.1', '::1', '127.0.0.9']) expect(await findAddressToBind(host, 'S')).toBe(host)
  })
})
