import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  connectionIdOf,
  encodeClientId,
  gatewayAddress,
  gatewayKey,
  gatewayKeyOf,
  isClientId,
} from '../src/client-id.ts'

describe('a client id', () => {
  it('is the hex of the LAN address, the LAN port and the connection', () => {
    // wire.md section 2: local_ip(4) local_port(2) connection_id(4)
    expect(encodeClientId(gatewayKey('127.0.0.1:2900'), 1)).toBe('7f0000010b5400000001')
    expect(encodeClientId(gatewayKey('255.255.255.255:65535'), 0xffffffff)).toBe('ffffffffffffffffffff')
    expect(encodeClientId(gatewayKey('0.0.0.0:1'), 0)).toBe('00000000000100000000')
  })

  it('tells its gateway and its connection', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(
        fc.tuple(octet, octet, octet, octet),
        fc.integer({ min: 1, max: 65535 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (octets, port, connectionId) => {
          const address = `${octets.join('.')}:${port}`
          const clientId = encodeClientId(gatewayKey(address), connectionId)
          expect(isClientId(clientId)).toBe(true)
          expect(gatewayKeyOf(clientId)).toBe(gatewayKey(address))
          expect(gatewayAddress(gatewayKeyOf(clientId))).toBe(address)
          expect(connectionIdOf(clientId)).toBe(connectionId)
        },
      ),
    )
  })

  it.each([
    '',
    '7f0000010b540000000',
    '7f0000010b54000000011',
    '7F0000010B5400000001',
    '7f0000010b540000000g',
    '7f0000010b5400000001\n',
    ' f0000010b5400000001',
    1234567890,
    null,
    undefined,
    ['7f0000010b5400000001'],
  ])('is not %j', (value) => {
    expect(isClientId(value)).toBe(false)
  })
})

describe('gatewayKey', () => {
  it.each([
    '',
    '127.0.0.1',
    '127.0.0.1:',
    ':2900',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.0.0.1:29.5',
    '127.0.0.1:port',
    '127.0.0:2900',
    '256.0.0.1:2900',
    'localhost:2900',
    '[::1]:2900',
  ])('refuses "%s" and names it', (address) => {
    expect(() => gatewayKey(address)).toThrow(TypeError)
    expect(() => gatewayKey(address)).toThrow(`"${address}"`)
  })
})
