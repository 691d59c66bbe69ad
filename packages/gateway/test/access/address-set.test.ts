import { describe, expect, test } from 'vitest'
import { AddressSet, networkOf, plainAddress } from '../../src/access/address-set.ts'

describe('a set of addresses', () => {
  test.each([
    ['10.1.2.3', true],
    ['11.1.2.3', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['127.9.9.9', true],
    ['::1', true],
    ['2001:db8:1::5', true],
    ['2001:db8:2::5', false],
  ])('%s: %s', (address, isIn) => {
    const set = new AddressSet(['10.0.0.0/8', '192.0.2.7', 'loopback', '2001:db8:1::/48'])
    expect(set.has(address)).toBe(isIn)
  })

  test.each(['', 'proxy.example', '10.0.0.0/33', '10.0.0/8', '::/129', '10.0.0.0/', '10.0.0.0/8/8'])(
    'refuses "%s" by its name',
    (item) => {
      expect(() => new AddressSet(['10.0.0.1', item])).toThrow(`"${item}"`)
    },
  )
})

test.each([
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:0201', '192.0.2.1'],
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.01', undefined],
  ['unknown', undefined],
  ['', undefined],
])('the plain form of %s is %s', (text, plain) => {
  expect(plainAddress(text)).toBe(plain)
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
  ['2001:db8::6', '2001:db8:0:0::/64'],
  ['1::3:4:5:6:7:8', '1:0:3:4::/64'],
  ['::1', '0:0:0:0::/64'],
])('the network of %s is %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})
