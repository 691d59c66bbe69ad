import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { phpLossless, phpSerialize } from '../src/php-codec.ts'
import { toPhpJson } from '../src/php-json.ts'
import { phpValues } from './php-arbitraries.ts'
import { hasPhp, PhpPeer } from './php-peer.ts'

function jsonOf(serialized: string): string {
  return toPhpJson(phpSerialize.decode(Buffer.from(serialized, 'latin1')))
}

describe('a PHP value as JSON', () => {
  it.each([
    ['N;', 'null'],
    ['b:0;', 'false'],
    ['i:-7;', '-7'],
    ['i:0;', '0'],
    ['i:9223372036854775807;', '9223372036854775807'],
    ['d:1;', '1'],
    ['d:0.1;', '0.1'],
    ['d:-0;', '-0'],
    ['d:1.0E+25;', '1.0e+25'],
    ['d:1.0E-5;', '1.0e-5'],
    ['s:3:"a/b";', '"a\\/b"'],
    ['s:4:"\xc3\xa9\n\x7f";', '"é\\n\x7f"'],
    ['s:6:"\xe2\x80\xa8\xe2\x80\xa9";', '"\\u2028\\u2029"'],
    ['a:0:{}', '[]'],
    ['a:2:{i:0;i:1;i:1;a:0:{}}', '[1,[]]'],
    ['a:2:{i:1;s:1:"b";i:0;s:1:"a";}', '{"1":"b","0":"a"}'],
    ['a:3:{s:9:"__proto__";i:1;s:0:"";i:2;i:-5;i:3;}', '{"__proto__":1,"":2,"-5":3}'],
    ['a:1:{s:3:"a/b";N;}', '{"a\\/b":null}'],
    ['O:8:"stdClass":0:{}', '{}'],
  ])('%j is %s', (serialized, json) => {
    expect(jsonOf(serialized)).toBe(json)
  })

  it.each([
    ['a:2:{i:0;d:INF;i:1;d:NAN;}', '[null,null]'],
    ['s:2:"a\xff";', '"a\ufffd"'],
    ['a:1:{s:1:"\xff";i:1;}', '{"\ufffd":1}'],
  ])('that PHP refuses is JSON all the same: %j', (serialized, json) => {
    expect(jsonOf(serialized)).toBe(json)
  })

  it('has null for what is kept as PHP’s bytes, and for nothing', () => {
    expect(toPhpJson(phpLossless.decode(Buffer.from('a:1:{i:0;d:1;}')))).toBe('[null]')
    expect(toPhpJson(undefined)).toBe('null')
  })

  const title = 'against the real php'
  describe.skipIf(!hasPhp)(hasPhp ? title : `${title} (skipped: php is not installed, apt-get install php-cli)`, () => {
    const php = hasPhp ? new PhpPeer() : undefined
    afterAll(() => php?.stop())

    it('is what json_encode makes of it, and JSON where that refuses', async () => {
      let refused = 0
      await fc.assert(
        fc.asyncProperty(phpValues, async (value) => {
          const bytes = phpSerialize.encode(value)
          const ours = toPhpJson(phpSerialize.decode(bytes))
          const json = await php!.ask('j', bytes)
          if (json !== undefined) expect(ours).toBe(json.toString())
          else refused += 1
          expect(() => JSON.parse(ours)).not.toThrow()
        }),
        { numRuns: 2000 },
      )
      expect(refused).toBeGreaterThan(0)
      expect(refused).toBeLessThan(1500)
    })
  })
})
