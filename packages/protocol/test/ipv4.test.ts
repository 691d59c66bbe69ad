import { expect, it } from 'vitest'
import { ipToNumber, numberToIp } from '../src/ipv4.ts'

it.each([
  ['0.0.0.0', 0],
  ['10.1.2.200', 0x0a0102c8],
  ['255.255.255.255', 0xffffffff],
])('%s is %i, and back', (address, number) => {
  expect(ipToNumber(address)).toBe(number)
  expect(numberToIp(number)).toBe(address)
})

it.each(['', '::1', '::ffff:1.2.3.4', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', 'localhost'])(
  '%j is 0',
  (address) => {
    expect(ipToNumber(address)).toBe(0)
  },
)
