import { GatewayWorkerError } from './errors.ts'

/** How long a watcher may rely on what it was told of a gateway's uids, in milliseconds from when it asked to; see the README, "Where a uid is". */
export const UID_LEASE_MS = 5_000

/** Two numbers of 32 bits that stand for a uid. All programs of a cluster must compute the same ones. */
export interface UidHash {
  readonly first: number
  readonly second: number
}

const HASH_BYTES = 8
const BITS_PER_UID = 10
/** Bits that a uid sets; the best number for 10 bits a uid. */
const PROBES = 7
const MIN_BYTES = 2 * 1024
/** Room for 6.7 million uids, within one frame. */
const MAX_BYTES = 8 * 1024 * 1024

/**
 * A Bloom filter of uids: tells surely which ones are not in it, and of up to `capacity` uids wrongly says "maybe" of fewer than 1 in 100
 * others. Nothing can be taken out.
 */
export class UidFilter {
  /** Bit N is bit N % 8 of byte N / 8. */
  readonly bytes: Buffer
  readonly #mask: number

  private constructor(bytes: Buffer) {
    this.bytes = bytes
    this.#mask = bytes.length * 8 - 1
  }

  /** An empty one for so many uids; beyond 6.7 million it says "maybe" too often. */
  static forCount(count: number): UidFilter {
    let length = MIN_BYTES
    while (length * 8 < count * BITS_PER_UID && length < MAX_BYTES) length *= 2
    return new UidFilter(Buffer.alloc(length))
  }

  /** A copy of a peer's. Throws BAD_PARAMETERS if the length is none that `forCount` makes. */
  static from(bytes: Uint8Array): UidFilter {
    const { length } = bytes
    if (length < MIN_BYTES || length > MAX_BYTES || (length & (length - 1)) !== 0) {
      throw new GatewayWorkerError('BAD_PARAMETERS', `a filter of uids has no ${length} bytes`)
    }
    return new UidFilter(Buffer.from(bytes))
  }

  /** How many uids it holds well. */
  get capacity(): number {
    return Math.floor((this.bytes.length * 8) / BITS_PER_UID)
  }

  /** Puts a uid in; false if it seemed to be in already. */
  add({ first, second }: UidHash): boolean {
    let isNew = false
    for (let probe = 0, bit = first; probe < PROBES; probe += 1, bit = (bit + second) | 0) {
      const at = (bit & this.#mask) >>> 3
      const before = this.bytes[at]!
      const after = before | (1 << (bit & 7))
      if (before === after) continue
      this.bytes[at] = after
      isNew = true
    }
    return isNew
  }

  /** False if the uid is surely not in it. */
  mayHave({ first, second }: UidHash): boolean {
    for (let probe = 0, bit = first; probe < PROBES; probe += 1, bit = (bit + second) | 0) {
      if ((this.bytes[(bit & this.#mask) >>> 3]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}

/** The hash of a uid, as the README defines it. */
export function hashUid(uid: string): UidHash {
  let first = 0xdeadbeef
  let second = 0x41c6ce57
  for (let at = 0; at < uid.length; at += 1) {
    const unit = uid.charCodeAt(at)
    // Half a surrogate pair becomes U+FFFD on its way in UTF-8, so all halves count as that.
    const code = (unit & 0xf800) === 0xd800 ? 0xfffd : unit
    first = Math.imul(first ^ code, 0x9e3779b1)
    second = Math.imul(second ^ code, 0x5f356495)
  }
  // An odd distance between its bits visits all of a filter's, whose number is a power of two.
  return { first: mix(first ^ (second >>> 15)), second: mix(second ^ (first >>> 13)) | 1 }
}

/** Every bit of the result depends on every bit that goes in: the last step of MurmurHash3. */
function mix(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/** Hashes one after the other, 8 bytes each. */
export function encodeUidHashes(hashes: readonly UidHash[]): Buffer {
  const bytes = Buffer.allocUnsafe(hashes.length * HASH_BYTES)
  hashes.forEach(({ first, second }, index) => {
    bytes.writeInt32BE(first, index * HASH_BYTES)
    bytes.writeInt32BE(second, index * HASH_BYTES + 4)
  })
  return bytes
}

/** Throws BAD_PARAMETERS if a part of one is missing. */
export function decodeUidHashes(bytes: Buffer): UidHash[] {
  if (bytes.length % HASH_BYTES !== 0) throw new GatewayWorkerError('BAD_PARAMETERS', 'half a hash of a uid')
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, index) => ({
    first: bytes.readInt32BE(index * HASH_BYTES),
    second: bytes.readInt32BE(index * HASH_BYTES + 4),
  }))
}
