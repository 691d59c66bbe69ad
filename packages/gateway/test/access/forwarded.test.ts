import { describe, expect, test } from 'vitest'
import { AddressSet } from '../../src/access/address-set.ts'
import { forwardedPeer } from '../../src/access/forwarded.ts'

const trusted = new AddressSet(['10.0.0.0/8', '2001:db8:f::/48'])
const proxy = { address: '10.0.0.1', port: 4711 }

const at = (address: string, port = 0) => ({ address, port })

describe('X-Forwarded-For', () => {
  const peerOf = (header: string, peer = proxy) =>
    forwardedPeer(peer, { 'x-forwarded-for': header }, 'x-forwarded-for', trusted)

  test.each([
    ['192.0.2.1', at('192.0.2.1')],
    ['203.0.113.9, 192.0.2.1', at('192.0.2.1')], // what the client itself made up is left of it
    ['203.0.113.9,192.0.2.1 , 10.0.0.3,10.0.0.2', at('192.0.2.1')],
    ['10.0.0.3, 10.0.0.2', at('10.0.0.3')],
    ['192.0.2.1:5000', at('192.0.2.1', 5000)],
    ['192.0.2.1:99999', at('192.0.2.1')],
    ['[2001:db8::7]:5000', at('2001:db8::7', 5000)],
    ['2001:DB8:0::7', at('2001:db8::7')],
    ['::ffff:192.0.2.1', at('192.0.2.1')],
    ['192.0.2.1, unknown', proxy],
    ['192.0.2.1, unknown, 10.0.0.2', at('10.0.0.2')],
    ['', proxy],
    ['192.0.2.1,', proxy],
    ['<script>', proxy],
  ])('"%s"', (header, peer) => {
    expect(peerOf(header)).toEqual(peer)
  })

  test('of somebody who is no trusted proxy is not read', () => {
    const stranger = at('192.0.2.66', 1)
    expect(peerOf('203.0.113.9', stranger)).toBe(stranger)
  })

  test('is not read where Forwarded is what counts, nor the other way round', () => {
    const headers = { forwarded: 'for=192.0.2.1', 'x-forwarded-for': '192.0.2.2' }
    expect(forwardedPeer(proxy, headers, 'forwarded', trusted)).toEqual(at('192.0.2.1'))
    expect(forwardedPeer(proxy, headers, 'x-forwarded-for', trusted)).toEqual(at('192.0.2.2'))
  })
})

describe('Forwarded', () => {
  test.each([
    ['for=192.0.2.1', at('192.0.2.1')],
    ['For="[2001:db8:cafe::17]:4711"', at('2001:db8:cafe::17', 4711)],
    ['for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com', at('198.51.100.17')],
    ['proto=https; FOR="192.0.2.1:80" ; by=10.0.0.1, for=10.0.0.2', at('192.0.2.1', 80)],
    ['for="_hidden,for=1.2.3.4"', proxy],
    ['for=_hidden, for=10.0.0.2', at('10.0.0.2')],
    ['for=unknown', proxy],
    ['by=192.0.2.1', proxy],
    ['host="a, for=192.0.2.9";for=192.0.2.1', at('192.0.2.1')],
    ['for="192.0.2.\\1"', at('192.0.2.1')],
    ['for="192.0.2.1', proxy],
    // A quote that the client left open does not make its own words a proxy's.
    ['for=203.0.113.9, for=", for="[2001:db8::7]"', proxy],
    ['for=203.0.113.9, for=", for=192.0.2.1', proxy],
    [undefined, proxy],
  ])('%s', (forwarded, peer) => {
    expect(forwardedPeer(proxy, { forwarded }, 'forwarded', trusted)).toEqual(peer)
  })

  test('of great length takes no great time', () => {
    const headers = ['for="'.repeat(3_000), 'for=;'.repeat(3_000), '"\\'.repeat(8_000), ' for ='.repeat(2_500)]
    const startedAt = performance.now()
    for (const forwarded of headers) forwardedPeer(proxy, { forwarded }, 'forwarded', trusted)
    expect(performance.now() - startedAt).toBeLessThan(100)
  })
})
