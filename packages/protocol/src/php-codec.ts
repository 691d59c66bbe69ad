import type { Codec } from './codec.ts'
import { serialize } from './php-serialize.ts'
import { unserialize } from './php-unserialize.ts'

/** PHP's serialize(), the codec of the legacy dialect. What it decodes is plain data. */
export const phpSerialize: Codec = { name: 'php', encode: serialize, decode: (bytes) => unserialize(bytes) }

/** The same for what goes back to PHP: values without an exact equal come out as PhpLiteral, so that it is byte for byte what came. */
export const phpLossless: Codec = {
  name: 'php',
  encode: serialize,
  decode: (bytes) => unserialize(bytes, { lossless: true }),
}
