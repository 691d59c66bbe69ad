import { type EchoCase, messageCount } from './echo-case.ts'

const MESSAGES = messageCount(3)

/** What the messages are cut out of, long enough for the longest of them. */
const SOURCE_BYTES = 200_000
const DEFAULT_OFFER = 'permessage-deflate; client_no_context_takeover; client_max_window_bits'

const [KIB8, KIB16, KIB32, KIB64, KIB128] = [8192, 16_384, 32_768, 65_536, 131_072]
/** The lengths of the messages, and of their fragments where they have any: the 18 cases of each group. */
const SIZES: readonly (readonly [sizeBytes: number, fragmentBytes: number])[] = [
  ...[16, 64, 256, 1024, 4096, KIB8, KIB16, KIB32, KIB64, KIB128].map((size) => [size, 0] as const),
  ...[KIB8, KIB16, KIB32, KIB64, KIB128].map((size) => [size, 256] as const),
  ...[1024, 4096, KIB32].map((fragment) => [KIB128, fragment] as const),
]

/** The same numbers in every run. */
function* pseudoRandom(): Generator<number> {
  for (let state = 1; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    yield state >> 16
  }
}

function fill(makePiece: (random: number) => Buffer | string): Buffer {
  const pieces: Buffer[] = []
  let length = 0
  for (const random of pseudoRandom()) {
    const piece = Buffer.from(makePiece(random))
    length += pieces.push(piece) && piece.length
    if (length >= SOURCE_BYTES) return Buffer.concat(pieces)
  }
  return Buffer.alloc(0)
}

const WORDS =
  'Habe nun ach Philosophie Juristerei und Medizin und leider auch Theologie durchaus studiert mit heißem Bemühn'.split(
    ' ',
  )
/** Like the files of the suite: prose, a bitmap, something that is compressed already, JSON and HTML. */
const prose = fill((random) => `${WORDS[random % WORDS.length]}${random % 11 === 0 ? ',\r\n' : ' '}`)
const bitmap = fill((random) => Buffer.alloc(1 + (random % 7), (random >> 3) % 160))
const compressed = fill((random) => Buffer.of(random, random >> 7))
const json = fill((random) => `{"id": ${random}, "name": "${WORDS[random % 7]}", "tags": ["a${random % 13}", "b"]},\n`)
const html = fill((random) => `<li class="entry"><a href="/item/${random}">${WORDS[random % 5]}</a></li>\n`)

/** What follows each other in a source, from its beginning again where it ends. */
function* messagesOf(source: Buffer, sizeBytes: number): Generator<Buffer> {
  const round = Buffer.concat([source, source.subarray(0, KIB128)])
  for (let number = 0; number < MESSAGES; number++) {
    const at = (number * sizeBytes) % source.length
    yield round.subarray(at, at + sizeBytes)
  }
}

function group(id: string, offer: string, source: Buffer, isBinary: boolean): EchoCase[] {
  return SIZES.map(([sizeBytes, fragmentBytes], index) => ({
    id: `${id}.${index + 1}`,
    bodies: () => messagesOf(source, sizeBytes),
    fragmentBytes,
    isBinary,
    offer,
  }))
}

/** What the client wants of the server's compression, in the order of the groups of section 13. */
const WISHES = [
  [''],
  ['; server_no_context_takeover'],
  ['; server_max_window_bits=9'],
  ['; server_max_window_bits=15'],
  ['; server_no_context_takeover; server_max_window_bits=9'],
  ['; server_no_context_takeover; server_max_window_bits=15'],
  ['; server_no_context_takeover; server_max_window_bits=9', '; server_no_context_takeover', ''],
] as const

/** Sections 12 (what is compressed) and 13 (what was agreed on). */
export const compressionCases: readonly EchoCase[] = [
  ...group('12.1', DEFAULT_OFFER, prose, true),
  ...group('12.2', DEFAULT_OFFER, bitmap, true),
  ...group('12.3', DEFAULT_OFFER, compressed, true),
  ...group('12.4', DEFAULT_OFFER, json, false),
  ...group('12.5', DEFAULT_OFFER, html, false),
  ...WISHES.flatMap((wishes, index) =>
    group(`13.${index + 1}`, wishes.map((wish) => DEFAULT_OFFER + wish).join(', '), json, false),
  ),
]
