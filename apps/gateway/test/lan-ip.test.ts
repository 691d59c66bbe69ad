import { describe, expect, it } from 'vitest'
import { findLanIp } from '../src/lan-ip.ts'

/** TEST-NET-1 of RFC 5737: nobody's. */
const ELSEWHERE = '192.0.2.77'
const HERE = '127.0.0.1:1236'

const find = (lanIp: string | undefined, registers = [HERE], isBoundElsewhere = false) =>
  findLanIp({ isBoundElsewhere, lanIp, registerAddresses: registers })

describe('the LAN address', () => {
  // With a register on another host: test/hosts.test.ts.
  it.each([
    '127.0.0.1:1236',
    '127.0.0.2:1236',
    '[::1]:1236',
    'localhost:1236',
    'etcd://localhost',
    'etcds://me:it@[::1]:1/a',
  ])('is 127.0.0.1 with a register at %s', async (register) => {
    expect(await find(undefined, [register])).toBe('127.0.0.1')
  })

  it('may be said, as an address of this host or a name', async () => {
    expect(await find('127.0.0.2')).toBe('127.0.0.2')
    expect(await find('localhost')).toBe('127.0.0.1')
  })

  it('may be any with --lan-listen', async () => {
    expect(await find(ELSEWHERE, [HERE], true)).toBe(ELSEWHERE)
  })

  it.each([
    ['of another host', ELSEWHERE, [HERE], 'is no address of this host, which has 127.0.0.1'],
    [
      'that others cannot reach, with a register elsewhere',
      '127.0.0.1',
      [HERE, `${ELSEWHERE}:1236`],
      'leave --lan-ip out',
    ],
    ['of no host', '0.0.0.0', [HERE], '--lan-listen 0.0.0.0'],
    ['of IPv6', '::1', [HERE], 'must be IPv4'],
    ['with an unknown name', 'nowhere.invalid', [HERE], 'no IPv4 address is known by this name'],
    ['that nobody says, with a register that nobody knows', undefined, ['nowhere.invalid:1'], 'say it with --lan-ip'],
  ])('%s is refused, with what to do', async (_name, lanIp, registers, message) => {
    await expect(find(lanIp, registers)).rejects.toMatchObject({
      message: expect.stringContaining(message),
      name: 'UsageError',
    })
  })
})
