import { type EchoCase, messageCount } from './echo-case.ts'

const KIB = 1024
const MIB = 1024 * KIB
const ROUND_TRIPS = messageCount(100)

/** What is played with text in section 9.x and with binary messages in the next. */
interface Load {
  chop?: number
  count?: number
  fragmentBytes?: number
  size: number
}

/** 16 MiB (9.1.6, 9.2.6) are more than a frame between two processes holds. */
const large: readonly Load[] = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB].map((size) => ({ size }))
/** In 65 536 frames of 64 bytes (9.3.1, 9.4.1), ws refuses a message: it takes 16 384. */
const fragmented: readonly Load[] = [256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].map(
  (fragmentBytes) => ({ fragmentBytes, size: 4 * MIB }),
)
const chopped: readonly Load[] = [64, 128, 256, 512, KIB, 2 * KIB].map((chop) => ({ chop, size: MIB }))
const roundTrips: readonly Load[] = [0, 16, 64, 256, KIB, 4 * KIB].map((size) => ({ count: ROUND_TRIPS, size }))

function inBothKinds(section: number, loads: readonly Load[], firstNumber = 1): EchoCase[] {
  return [false, true].flatMap((isBinary) =>
    loads.map(({ chop, count = 1, fragmentBytes = 0, size }, index) => ({
      id: `9.${section + (isBinary ? 1 : 0)}.${firstNumber + index}`,
      bodies: () => Array<Buffer>(count).fill(Buffer.alloc(size, isBinary ? 0xfe : '*')),
      fragmentBytes,
      isBinary,
      ...(chop === undefined ? {} : { chop }),
    })),
  )
}

/** Sections 9 and 10: long messages, in many pieces, and many of them. */
export const limitCases: readonly EchoCase[] = [
  ...inBothKinds(1, large),
  ...inBothKinds(3, fragmented, 2),
  ...inBothKinds(5, chopped),
  ...inBothKinds(7, roundTrips),
  { id: '10.1.1', bodies: () => [Buffer.alloc(65_536, '*')], fragmentBytes: 1300, isBinary: false },
]
