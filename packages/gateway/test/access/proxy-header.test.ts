import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from '../../src/access/proxy-header.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const v2 = (...hex: string[]) => Buffer.from(SIGNATURE + hex.join(''), 'hex')
const v1 = (line: string) => Buffer.from(`${line}\r\n`)
const V6_FROM = '20010db8000000000000000000000007'

const GOOD: [what: string, header: Buffer, peer: object | undefined][] = [
  ['TCP4', v1('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443'), { address: '192.0.2.1', port: 56324 }],
  ['TCP6', v1('PROXY TCP6 2001:db8:0::7 2001:db8::8 0 65535'), { address: '2001:db8::7', port: 0 }],
  ['TCP6 of IPv4', v1('PROXY TCP6 ::ffff:192.0.2.1 ::1 7 8'), { address: '192.0.2.1', port: 7 }],
  ['UNKNOWN', v1('PROXY UNKNOWN'), undefined],
  ['UNKNOWN with more', v1(`PROXY UNKNOWN ${'f'.repeat(91)}`), undefined],
  ['v2 TCP4', v2('2111000c', 'c0000201', 'c6336401', 'dc0401bb'), { address: '192.0.2.1', port: 56324 }],
  [
    'v2 TCP4 and TLVs',
    v2('21110013', 'c0000201', 'c6336401', 'dc0401bb', '03000404030201'),
    { address: '192.0.2.1', port: 56324 },
  ],
  ['v2 TCP6', v2('21210024', V6_FROM, V6_FROM, '00500051'), { address: '2001:db8::7', port: 80 }],
  ['v2 LOCAL', v2('20000000'), undefined],
  ['v2 LOCAL with something', v2('20110003', 'ffffff'), undefined],
  ['v2 unspecified', v2('21000002', 'ffff'), undefined],
  ['v2 UNIX', v2('213100d8', '2f'.repeat(216)), undefined],
  ['v2 UDP4', v2('2112000c', 'c0000201', 'c6336401', 'dc0401bb'), undefined],
]

test.each(GOOD)('%s, whole and cut at every point', (_what, header, peer) => {
  for (let at = 1; at < header.length; at += 1) expect(parseProxyHeader(header.subarray(0, at))).toBeUndefined()
  const expected = { length: header.length, peer }
  expect(parseProxyHeader(header)).toEqual(expected)
  expect(parseProxyHeader(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n')]))).toEqual(expected)
})

describe('is refused as soon as it cannot become a header', () => {
  test.each([
    ['HTTP', Buffer.from('G')],
    ['almost version 1', Buffer.from('PROXYTCP4')],
    ['almost version 2', Buffer.from(`${SIGNATURE.slice(0, -2)}0b`, 'hex')],
    ['a line without end', Buffer.from(`PROXY UNKNOWN ${' '.repeat(93)}`)],
    ['an address that is none', v1('PROXY TCP4 192.0.2.256 198.51.100.1 1 2')],
    ['an address of the other kind', v1('PROXY TCP4 2001:db8::7 2001:db8::8 1 2')],
    ['a port that is none', v1('PROXY TCP4 192.0.2.1 198.51.100.1 65536 2')],
    ['a port with a zero in front', v1('PROXY TCP4 192.0.2.1 198.51.100.1 01 2')],
    ['two blanks', v1('PROXY TCP4  192.0.2.1 198.51.100.1 1 2')],
    ['a word too many', v1('PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3')],
    ['no addresses', v1('PROXY TCP4')],
    ['an unknown kind', v1('PROXY UDP4 192.0.2.1 198.51.100.1 1 2')],
    ['version 1 in binary', v2('11110000')],
    ['an unknown command', v2('22110000')],
    ['less than its addresses', v2('2111000b')],
    ['a great length', v2('2111ffff')],
  ])('%s', (_what, bytes) => {
    expect(() => parseProxyHeader(bytes)).toThrow(RangeError)
  })
})

test('anything is a header, not yet one, or none; and what waits for its end is bounded', () => {
  const [signature] = [Buffer.from(SIGNATURE, 'hex')]
  const beginnings = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), signature)
  fc.assert(
    fc.property(beginnings, fc.uint8Array({ maxLength: 400 }), (beginning, rest) => {
      const bytes = Buffer.concat([beginning, rest])
      try {
        const header = parseProxyHeader(bytes)
        if (header === undefined) expect(bytes.length).toBeLessThan(MAX_PROXY_HEADER_BYTES)
        else expect(header.length).toBeLessThanOrEqual(bytes.length)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }),
    { numRuns: 2_000 },
  )
})
