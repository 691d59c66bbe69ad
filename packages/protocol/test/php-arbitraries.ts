import fc from 'fast-check'

/** Strings that might be integers to PHP, among others. */
export const keyTexts: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '0',
    '-0',
    '00',
    '-1',
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775808',
    '__proto__',
  ),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.integer({ min: 0, max: 20 }).map(String),
  fc.stringMatching(/^[-+ ]?0?\d{1,20}[ .]?$/),
  fc.string({ unit: 'binary' }),
)

const mapKeys: fc.Arbitrary<unknown> = fc.oneof(
  keyTexts,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)

/** Any value that both JavaScript and PHP have, with all the representations that the encoder takes. */
export const phpValues: fc.Arbitrary<unknown> = fc.letrec((value) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, '', '5', '__proto__', Infinity, -Infinity, Number.NaN, -0, 1e17, 1e16, 0.00001),
    fc.string({ unit: 'binary' }),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double(),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    fc.array(value('any'), { maxLength: 5 }),
    fc.dictionary(keyTexts, value('any'), { maxKeys: 5 }),
    fc.array(fc.tuple(mapKeys, value('any')), { maxLength: 5 }).map((entries) => new Map(entries)),
  ),
})).any
