import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { changePhpArray, mergePhpArrays } from '../src/php-array.ts'
import { phpLossless } from '../src/php-codec.ts'
import { hasPhp, PhpPeer, takePieces } from './php-peer.ts'

const read = (serialized: string): unknown => phpLossless.decode(Buffer.from(serialized, 'latin1'))
const write = (value: unknown): string => phpLossless.encode(value).toString('latin1')

describe('merging PHP arrays', () => {
  it.each([
    ['keys are added behind', 'a:1:{s:1:"a";i:1;}', 'a:1:{s:1:"b";i:2;}', 'a:2:{s:1:"a";i:1;s:1:"b";i:2;}'],
    [
      'values replace in their place',
      'a:2:{s:1:"a";i:1;s:1:"b";d:1;}',
      'a:1:{s:1:"a";d:2;}',
      'a:2:{s:1:"a";d:2;s:1:"b";d:1;}',
    ],
    ['lists merge by index', 'a:2:{i:0;i:1;i:1;i:2;}', 'a:1:{i:0;i:9;}', 'a:2:{i:0;i:9;i:1;i:2;}'],
    [
      'a list and a map merge',
      'a:1:{s:1:"l";a:1:{i:0;i:1;}}',
      'a:1:{s:1:"l";a:1:{s:1:"x";i:2;}}',
      'a:1:{s:1:"l";a:2:{i:0;i:1;s:1:"x";i:2;}}',
    ],
    [
      'an empty array changes nothing',
      'a:1:{s:1:"l";a:1:{i:0;i:1;}}',
      'a:1:{s:1:"l";a:0:{}}',
      'a:1:{s:1:"l";a:1:{i:0;i:1;}}',
    ],
    ['null replaces', 'a:1:{s:1:"l";a:1:{i:0;i:1;}}', 'a:1:{s:1:"l";N;}', 'a:1:{s:1:"l";N;}'],
    [
      'objects replace and are replaced whole',
      'a:2:{i:0;O:1:"A":1:{s:1:"x";i:1;}i:1;a:1:{s:1:"x";i:1;}}',
      'a:2:{i:0;a:1:{s:1:"y";i:2;}i:1;O:1:"B":0:{}}',
      'a:2:{i:0;a:1:{s:1:"y";i:2;}i:1;O:1:"B":0:{}}',
    ],
    [
      'bytes are one key, the text with such characters another',
      'a:2:{s:1:"\xff";i:1;s:2:"\xc3\xbf";i:2;}',
      'a:1:{s:1:"\xff";i:3;}',
      'a:2:{s:1:"\xff";i:3;s:2:"\xc3\xbf";i:2;}',
    ],
    ['5 and "05" are two keys', 'a:2:{i:5;i:1;s:2:"05";i:2;}', 'a:1:{i:5;i:3;}', 'a:2:{i:5;i:3;s:2:"05";i:2;}'],
    [
      'an order that a plain object does not have stays',
      'a:2:{i:7;i:1;i:3;i:2;}',
      'a:1:{i:1;i:0;}',
      'a:3:{i:7;i:1;i:3;i:2;i:1;i:0;}',
    ],
    [
      'great integers stay exact',
      'a:1:{i:9223372036854775807;i:-9223372036854775808;}',
      'a:0:{}',
      'a:1:{i:9223372036854775807;i:-9223372036854775808;}',
    ],
    [
      '__proto__ is a key',
      'a:1:{s:9:"__proto__";a:1:{s:1:"a";i:1;}}',
      'a:1:{s:9:"__proto__";a:1:{s:1:"b";i:2;}}',
      'a:1:{s:9:"__proto__";a:2:{s:1:"a";i:1;s:1:"b";i:2;}}',
    ],
  ])('%s', (_what, base, patch, merged) => {
    expect(write(mergePhpArrays(read(base), read(patch)))).toBe(merged)
  })

  it.each(['i:1;', 'N;', 's:1:"a";', 'O:1:"A":0:{}'])('refuses %s', (serialized) => {
    const refusal = expect.objectContaining({ code: 'BAD_VALUE' })
    expect(() => mergePhpArrays(read(serialized), [])).toThrow(refusal)
    expect(() => mergePhpArrays([], read(serialized))).toThrow(refusal)
    expect(() => changePhpArray(read(serialized), {}, [])).toThrow(refusal)
  })

  const title = 'against the real php'
  describe.skipIf(!hasPhp)(hasPhp ? title : `${title} (skipped: php is not installed, apt-get install php-cli)`, () => {
    const php = hasPhp ? new PhpPeer() : undefined
    afterAll(() => php?.stop())

    it('is array_replace_recursive, byte for byte', async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 32 - 1 }), async (seed) => {
          const bytes = Buffer.alloc(4)
          bytes.writeUInt32BE(seed)
          const [base, patch, merged] = takePieces((await php!.ask('m', bytes))!).map((piece) =>
            piece.toString('latin1'),
          )
          // Enums are single: PHP writes the second one as a reference.
          if ([base, patch, merged].some((text) => text!.includes(';r:'))) return
          expect(write(mergePhpArrays(read(base!), read(patch!)))).toBe(merged)
        }),
        { numRuns: 1500 },
      )
    })
  })
})

describe('changing a PHP array', () => {
  it.each<[string, string, Record<string, unknown>, string[], string]>([
    [
      'sets in place and behind',
      'a:2:{s:1:"a";d:1;s:1:"b";i:2;}',
      { b: 3, c: [1] },
      [],
      'a:3:{s:1:"a";d:1;s:1:"b";i:3;s:1:"c";a:1:{i:0;i:1;}}',
    ],
    ['takes away', 'a:2:{s:1:"a";d:1;s:1:"b";i:2;}', {}, ['b', 'none'], 'a:1:{s:1:"a";d:1;}'],
    [
      'knows integer keys by their text',
      'a:3:{i:5;i:1;s:2:"05";i:2;i:-1;i:3;}',
      { 5: 'x' },
      ['-1'],
      'a:2:{i:5;s:1:"x";s:2:"05";i:2;}',
    ],
    ['makes a map of a list', 'a:2:{i:0;i:1;i:1;i:2;}', { a: true }, ['0'], 'a:2:{i:1;i:2;s:1:"a";b:1;}'],
    [
      'replaces maps whole',
      'a:1:{s:1:"m";a:1:{s:1:"a";i:1;}}',
      { m: { b: 2 } },
      [],
      'a:1:{s:1:"m";a:1:{s:1:"b";i:2;}}',
    ],
    ['sets what it takes away', 'a:2:{s:1:"a";i:1;s:1:"b";i:2;}', { a: 3 }, ['a'], 'a:2:{s:1:"b";i:2;s:1:"a";i:3;}'],
  ])('%s', (_what, array, set, unset, changed) => {
    expect(write(changePhpArray(read(array), set, unset))).toBe(changed)
  })
})
