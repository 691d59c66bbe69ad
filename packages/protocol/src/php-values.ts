import { GatewayWorkerError } from './errors.ts'

/** How deep arrays and objects may lie in each other, in PHP's format and in what is written to it. */
export const MAX_PHP_DEPTH = 512

/** A key of a PHP array. PHP has integers and strings of bytes; Buffers are the strings that are no UTF-8. */
export type PhpKey = number | bigint | string | Buffer

/**
 * A value that only PHP can hold, as the bytes that PHP wrote for it. `phpLossless` decodes floats and objects to it, and both
 * codecs write its bytes as they are, unchecked.
 */
export class PhpLiteral {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const MINUS = 0x2d
const NINE = 0x39
const DECIMAL = /^(?:0|-?[1-9]\d{0,18})$/

/** Whether PHP, whose integers have 64 bits, can hold it. */
export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX
}

/** The integer as a number where that is exact, and as a bigint beyond 2^53. */
export function narrowInt(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** What PHP makes of a string as an array key: an integer if it is one's decimal form ("5", not "05", "-0" or 2^63). */
export function castTextKey(text: string): number | bigint | string {
  const first = text.charCodeAt(0)
  // Nearly all keys are names, and need no regular expression to tell; digits and '-' lie below.
  if (!(first <= NINE && first >= MINUS) || !DECIMAL.test(text)) return text
  const number = Number(text)
  if (Number.isSafeInteger(number)) return number
  const exact = BigInt(text)
  return isInt64(exact) ? exact : text
}

/** The coded error of everything that is no value of PHP's, or cannot become one. */
export function badValue(message: string): GatewayWorkerError {
  return new GatewayWorkerError('BAD_VALUE', message)
}
