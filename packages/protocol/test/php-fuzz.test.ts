import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Codec } from '../src/codec.ts'
import { GatewayWorkerError } from '../src/errors.ts'
import { phpLossless, phpSerialize } from '../src/php-codec.ts'
import { corpus, damagedValues } from './php-corpus.ts'

const codecs: [string, Codec][] = [
  ['phpSerialize', phpSerialize],
  ['phpLossless', phpLossless],
]

/** A value, or undefined for the one error that bytes may cause. */
function decodeOrRefuse(codec: Codec, bytes: Buffer): { value: unknown } | undefined {
  try {
    return { value: codec.decode(bytes) }
  } catch (error) {
    if (error instanceof GatewayWorkerError && error.code === 'BAD_VALUE') return undefined
    throw error
  }
}

describe.each(codecs)('%s, with bytes that may be damaged', (_name, codec) => {
  it('reads the whole corpus', () => {
    for (const bytes of corpus) expect(decodeOrRefuse(codec, bytes), bytes.toString('latin1')).toBeDefined()
  })

  it('has a value or refuses, and can write every value that it read', () => {
    let values = 0
    fc.assert(
      fc.property(fc.oneof(damagedValues, fc.uint8Array().map(Buffer.from)), (bytes) => {
        const decoded = decodeOrRefuse(codec, bytes)
        if (decoded === undefined) return
        values += 1
        const written = codec.encode(decoded.value)
        expect(codec.encode(codec.decode(written)).equals(written)).toBe(true)
      }),
      { numRuns: 20_000 },
    )
    expect(values).toBeGreaterThan(500)
  })

  it('refuses every beginning of a value', () => {
    for (const bytes of corpus) {
      for (let end = 0; end < bytes.length; end += 1)
        expect(decodeOrRefuse(codec, bytes.subarray(0, end))).toBeUndefined()
    }
  })

  const elements = (count: number, element: (at: number) => string) =>
    Array.from({ length: count }, (_, at) => element(at)).join('')
  const list = (count: number, value: (at: number) => string) =>
    `a:${count}:{${elements(count, (at) => `i:${at};${value(at)}`)}}`

  it.each<[string, number, (size: number) => string]>([
    ['a list', 20_000, (size) => list(size, () => 'i:7;')],
    ['a list cut off', 20_000, (size) => list(size, () => 'i:7;').slice(0, -1)],
    ['a map', 10_000, (size) => `a:${size}:{${elements(size, (at) => `s:6:"k${10_000 + (at % 90_000)}";N;`)}}`],
    ['a map out of order', 10_000, (size) => `a:${size}:{${elements(size, (at) => `i:${size - at};N;`)}}`],
    ['a long string', 500_000, (size) => `s:${size}:"${'a'.repeat(size)}";`],
    ['a long string of bytes', 500_000, (size) => `s:${size}:"${'\xff'.repeat(size)}";`],
    ['many strings of bytes', 10_000, (size) => list(size, () => 's:3:"\xef\xbf\xff";')],
    ['floats', 10_000, (size) => list(size, () => 'd:0.30000000000000004;')],
    ['a long float', 200_000, (size) => `d:${'1'.repeat(size)}.${'1'.repeat(size)}x;`],
    ['zeros for a length', 500_000, (size) => `s:${'0'.repeat(size)}x`],
    ['references', 10_000, (size) => list(size, (at) => (at === 0 ? 's:1:"x";' : 'R:2;'))],
    ['objects in objects', 50, (size) => list(size, () => `${'O:1:"A":1:{s:1:"x";'.repeat(500)}N;${'}'.repeat(500)}`)],
    [
      'private properties',
      5_000,
      (size) => `O:1:"A":${size}:{${elements(size, (at) => `s:9:"\0A\0k${10_000 + at}";N;`)}}`,
    ],
    ['opened arrays', 20_000, (size) => 'a:1:{i:0;'.repeat(size)],
  ])('takes linear time for %s', (_, size, build) => {
    const [short, long] = [size, size * 8].map((length) => Buffer.from(build(length), 'latin1'))
    // Eight times the bytes would take 64 times as long if the time were their square. The millisecond is for what is too fast to time.
    const isLinear = () => shortestLong < 32 * (shortestShort + 1)
    let shortestShort = Number.POSITIVE_INFINITY
    let shortestLong = Number.POSITIVE_INFINITY
    // The shortest of several times is the decoder's own, whatever else the machine does meanwhile.
    for (let round = 0; round < 5 || (round < 50 && !isLinear()); round += 1) {
      shortestShort = Math.min(shortestShort, timeMs(codec, short!))
      shortestLong = Math.min(shortestLong, timeMs(codec, long!))
    }
    expect(shortestLong).toBeLessThan(32 * (shortestShort + 1))
  })
})

function timeMs(codec: Codec, bytes: Buffer): number {
  const start = performance.now()
  decodeOrRefuse(codec, bytes)
  return performance.now() - start
}
