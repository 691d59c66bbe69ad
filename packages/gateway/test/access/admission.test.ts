import { describe, expect, test } from 'vitest'
import { AddressSet } from '../../src/access/address-set.ts'
import { Admission, type AdmissionOptions } from '../../src/access/admission.ts'

function admission(options: Partial<AdmissionOptions> = {}): Admission {
  return new Admission({
    connectionRate: 0,
    exempt: new AddressSet(['10.0.0.0/8']),
    maxConnections: 0,
    maxConnectionsPerAddress: 0,
    ...options,
  })
}

test('so many connections, and one more for each that has ended', () => {
  const gate = admission({ maxConnections: 2 })
  expect([gate.enter(), gate.enter(), gate.enter()]).toEqual([undefined, undefined, 'connections'])
  gate.leave()
  expect([gate.enter(), gate.enter()]).toEqual([undefined, 'connections'])
})

describe('of one address', () => {
  test('so many connections, and one more for each that has ended', () => {
    const gate = admission({ maxConnectionsPerAddress: 2 })
    const enter = () => gate.enterFrom('192.0.2.1', 0)
    expect([enter(), enter(), enter()]).toEqual([undefined, undefined, 'connectionsPerAddress'])
    expect(gate.enterFrom('192.0.2.2', 0)).toBeUndefined()
    gate.leaveFrom('192.0.2.1')
    expect([enter(), enter()]).toEqual([undefined, 'connectionsPerAddress'])
  })

  test('a /64 of IPv6 is one', () => {
    const gate = admission({ maxConnectionsPerAddress: 1 })
    expect(gate.enterFrom('2001:db8::1', 0)).toBeUndefined()
    expect(gate.enterFrom('2001:db8::ffff:1', 0)).toBe('connectionsPerAddress')
    expect(gate.enterFrom('2001:db8:0:1::1', 0)).toBeUndefined()
  })

  test('so many a second, a second of them at once; who was refused does not wait longer for it', () => {
    const gate = admission({ connectionRate: 10 })
    const enter = (now: number) => gate.enterFrom('192.0.2.1', now)
    expect(Array.from({ length: 12 }, () => enter(5_000)).filter((refusal) => refusal === undefined)).toHaveLength(11)
    expect(enter(5_099)).toBe('connectionRate')
    expect(enter(5_100)).toBeUndefined()
    expect(enter(5_100)).toBe('connectionRate')
    expect(gate.enterFrom('192.0.2.2', 5_100)).toBeUndefined()
  })

  test('any number of those that are exempt', () => {
    const gate = admission({ connectionRate: 1, maxConnectionsPerAddress: 1 })
    for (let count = 0; count < 5; count += 1) expect(gate.enterFrom('10.0.0.1', 0)).toBeUndefined()
    gate.leaveFrom('10.0.0.1')
    expect(gate.networkCount).toBe(0)
  })
})

test('addresses are forgotten when their connections have ended and their rate is whole again, not before', () => {
  const gate = admission({ connectionRate: 10, maxConnectionsPerAddress: 1 })
  for (let host = 0; host < 250; host += 1) gate.enterFrom(`192.0.2.${host}`, 0)
  for (let host = 1; host < 250; host += 1) gate.leaveFrom(`192.0.2.${host}`)
  expect(gate.networkCount).toBe(250)
  gate.enterFrom('198.51.100.1', 5_000)
  expect(gate.networkCount).toBe(2)
  expect(gate.enterFrom('192.0.2.0', 5_000)).toBe('connectionsPerAddress')
})
