/** A smaller buffer may be kept for any part of it, in bytes: it costs no more than what else is known of a client. */
const SMALL_BYTES = 8 * 1024
/** A buffer may be so many times as long as the part that keeps it. */
const MAX_RATIO = 4

/** Bytes that are to be kept: themselves, or a copy if they are a small part of a large buffer, which they would keep alive. */
export function ownBytes(bytes: Buffer): Buffer {
  const { byteLength } = bytes.buffer
  if (byteLength <= SMALL_BYTES || byteLength <= bytes.length * MAX_RATIO) return bytes
  // Not out of the pool, of which they would keep a large buffer alive in the same way.
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
