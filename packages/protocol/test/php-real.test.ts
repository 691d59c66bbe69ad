import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { phpLossless, phpSerialize } from '../src/php-codec.ts'
import { keyTexts, phpValues } from './php-arbitraries.ts'
import { damagedValues } from './php-corpus.ts'
import { hasPhp, PhpPeer, takePieces } from './php-peer.ts'

const title = 'the codec against the real php'

describe.skipIf(!hasPhp)(hasPhp ? title : `${title} (skipped: php is not installed, apt-get install php-cli)`, () => {
  const php = hasPhp ? new PhpPeer() : undefined
  afterAll(() => php?.stop())
  const ask: PhpPeer['ask'] = (operation, bytes) => php!.ask(operation, bytes)
  const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((seed) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(seed)
    return bytes
  })

  it('writes what PHP reads and writes the same, and reads it itself', async () => {
    await fc.assert(
      fc.asyncProperty(phpValues, async (value) => {
        const bytes = phpSerialize.encode(value)
        expect((await ask('u', bytes))?.toString('latin1')).toBe(bytes.toString('latin1'))
        expect(phpSerialize.encode(phpSerialize.decode(bytes)).toString('latin1')).toBe(bytes.toString('latin1'))
      }),
      { numRuns: 2000 },
    )
  })

  it('gives back, byte for byte, the plain data that PHP wrote', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bytes = (await ask('p', seed))!
        expect(phpSerialize.encode(phpSerialize.decode(bytes)).toString('latin1')).toBe(bytes.toString('latin1'))
      }),
      { numRuns: 2000 },
    )
  })

  it('gives back, byte for byte, everything that PHP wrote, losslessly', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bytes = (await ask('a', seed))!
        // Enums are single: PHP writes the second one as a reference.
        if (bytes.includes(';r:')) return
        expect(phpLossless.encode(phpLossless.decode(bytes)).toString('latin1')).toBe(bytes.toString('latin1'))
      }),
      { numRuns: 2000 },
    )
  })

  it('sees in shared objects and references what PHP sees', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const [shared, plain] = takePieces((await ask('s', seed))!)
        expect(phpSerialize.encode(phpSerialize.decode(shared!)).toString('latin1')).toBe(plain!.toString('latin1'))
      }),
      { numRuns: 1000 },
    )
  })

  it('casts string keys as PHP does', async () => {
    await fc.assert(
      fc.asyncProperty(keyTexts, async (text) => {
        const expected = (await ask('k', Buffer.from(text)))!.toString()
        expect(phpSerialize.encode(new Map([[text, true]])).toString()).toBe(expected)
        expect(phpSerialize.encode(Object.fromEntries([[text, true]])).toString()).toBe(expected)
      }),
      { numRuns: 1000 },
    )
  })

  it('writes floats as PHP does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.double(), fc.double({ min: -1e18, max: 1e18 }), fc.double({ min: -1e-3, max: 1e-3 })),
        async (float) => {
          fc.pre(!Number.isSafeInteger(float) || Object.is(float, -0))
          const bytes = Buffer.alloc(8)
          bytes.writeDoubleBE(float)
          expect(phpSerialize.encode(float).toString()).toBe((await ask('d', bytes))?.toString())
        },
      ),
      { numRuns: 2000 },
    )
  })
  it('takes no damaged bytes that PHP refuses, and sees in the others what PHP sees', async () => {
    await fc.assert(
      fc.asyncProperty(damagedValues, async (bytes) => {
        // PHP's answer about objects depends on its classes, and that about references keeps them.
        fc.pre(!/[OCErR]:\d/.test(bytes.toString('latin1')))
        const ours = rewrite(bytes)
        if (ours === undefined) return
        const seen = await ask('u', bytes)
        expect(seen).toBeDefined()
        expect((await ask('u', ours))?.toString('latin1')).toBe(seen?.toString('latin1'))
      }),
      { numRuns: 3000 },
    )
  })
})

/** The bytes as we write them after reading them, or undefined if we refuse them. */
function rewrite(bytes: Buffer): Buffer | undefined {
  try {
    return phpLossless.encode(phpLossless.decode(bytes))
  } catch {
    return undefined
  }
}
