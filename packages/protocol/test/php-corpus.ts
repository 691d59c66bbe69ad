import { readFileSync } from 'node:fs'
import fc from 'fast-check'

/** Values that PHP wrote, one character a byte. What a fuzz run finds is added here. */
const texts: string[] = JSON.parse(readFileSync(new URL('fixtures/php-corpus.json', import.meta.url), 'utf8'))

export const corpus: Buffer[] = texts.map((text) => Buffer.from(text, 'latin1'))

const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom(
      'i:',
      's:1:"',
      'a:2:{',
      'O:1:"A":',
      'R:1;',
      'r:2;',
      'd:',
      '-',
      '9',
      '0',
      ';',
      '}',
      'N;',
      ';R:2;',
      '99999999',
    )
    .map((text) => Buffer.from(text)),
  fc.constantFrom(...corpus),
)

const edits = fc.record({ at: fc.nat(400), length: fc.nat(6), piece: pieces })

/** Values of the corpus with some stretches of bytes replaced, most of them no values any more. */
export const damagedValues: fc.Arbitrary<Buffer> = fc
  .tuple(fc.constantFrom(...corpus), fc.array(edits, { maxLength: 4 }))
  .map(([bytes, changes]) =>
    changes.reduce((damaged, { at, length, piece }) => {
      const start = at % (damaged.length + 1)
      return Buffer.concat([damaged.subarray(0, start), piece, damaged.subarray(start + length)])
    }, bytes),
  )
