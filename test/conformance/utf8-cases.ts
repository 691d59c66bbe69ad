import { continuation, fragments, INVALID_TEXT, text, unfinished } from './frames.ts'
import type { ScriptedCase } from './scripted-case.ts'

const GREETING = 'Hello-µ@ßöäüàá-UTF-8!!'
/** "κόσμε", its second letter as it is in the polytonic block. */
const COSMOS = Buffer.from('cebae1bdb9cf83cebcceb5', 'hex')
const SURROGATE = Buffer.from('eda080', 'hex')
const BEYOND_UNICODE = Buffer.from('f4908080', 'hex')
const EDITED = Buffer.from('edited')

const withSurrogate = text(Buffer.concat([COSMOS, SURROGATE, EDITED]))
const beyondUnicode = Buffer.concat([COSMOS, BEYOND_UNICODE, EDITED])
/** Where the bytes that are no UTF-8 begin and end, and the first byte that shows it. */
const [WRONG_FROM, WRONG_AT, WRONG_TO] = [COSMOS.length, COSMOS.length + 1, COSMOS.length + BEYOND_UNICODE.length]
const MASKED_HEADER_BYTES = 6

function inParts(...places: number[]): ScriptedCase['frames'] {
  const [first = 0, second = 0] = places
  return [
    unfinished(text(beyondUnicode.subarray(0, first))),
    unfinished(continuation(beyondUnicode.subarray(first, second))),
    continuation(beyondUnicode.subarray(second)),
  ]
}

/** 6.1 to 6.4: where the cuts are. */
const cuts: ScriptedCase[] = [
  { id: '6.1.1', frames: [text()], answers: [text()] },
  { id: '6.1.2', frames: [unfinished(text()), unfinished(continuation()), continuation()], answers: [text()] },
  {
    id: '6.1.3',
    frames: [unfinished(text()), unfinished(continuation('middle')), continuation()],
    answers: [text('middle')],
  },
  { id: '6.2.1', frames: [text(GREETING)], answers: [text(GREETING)] },
  {
    id: '6.2.2',
    frames: [unfinished(text(GREETING.slice(0, 11))), continuation(GREETING.slice(11))],
    answers: [text(GREETING)],
  },
  { id: '6.2.3', frames: fragments(text(GREETING), 1), answers: [text(GREETING)] },
  { id: '6.2.4', frames: fragments(text(COSMOS), 1), answers: [text(COSMOS)] },
  { id: '6.3.1', frames: [withSurrogate], ends: INVALID_TEXT },
  { id: '6.3.2', frames: fragments(withSurrogate, 1), ends: INVALID_TEXT },
  { id: '6.4.1', frames: inParts(WRONG_FROM, WRONG_TO), chop: 'frame', ends: INVALID_TEXT },
  { id: '6.4.2', frames: inParts(WRONG_AT, WRONG_AT + 1), chop: 'frame', ends: INVALID_TEXT },
  { id: '6.4.3', frames: [text(beyondUnicode)], chop: inOneFrame(WRONG_FROM, WRONG_TO), ends: INVALID_TEXT },
  { id: '6.4.4', frames: [text(beyondUnicode)], chop: inOneFrame(WRONG_AT, WRONG_AT + 1), ends: INVALID_TEXT },
]

function inOneFrame(...places: number[]): readonly number[] {
  return places.map((place) => MASKED_HEADER_BYTES + place)
}

/** Bytes of a text message, and whether they are UTF-8. */
type Sequence = readonly [bytes: Buffer, isValid: boolean]

const sequences = (isValid: boolean, hex: string): Sequence[] =>
  hex.split(' ').map((one) => [Buffer.from(one, 'hex'), isValid])
const valid = (hex: string) => sequences(true, hex)
const invalid = (hex: string) => sequences(false, hex)
/** The bytes from one to another, without the latter, each followed by `end`. */
const hexOf = (from: number, to: number, end = '') =>
  Array.from({ length: to - from }, (_, index) => (from + index).toString(16) + end).join('')

/** The places of whole characters in COSMOS. */
const CHARACTER_ENDS = [2, 5, 7, 9, 11]
const prefixes = Array.from(
  COSMOS,
  (_, index): Sequence => [COSMOS.subarray(0, index + 1), CHARACTER_ENDS.includes(index + 1)],
)
const UNFINISHED = 'c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf'
/** The last two code points of each quarter of the planes 1 to 15, as far as they have one such start byte, and of the first of 16. */
const NON_CHARACTERS = [
  'f09f',
  'f0af',
  'f0bf',
  ...['f1', 'f2', 'f3'].flatMap((start) => ['8f', '9f', 'af', 'bf'].map((next) => start + next)),
  'f48f',
]
  .flatMap((start) => [`${start}bfbe`, `${start}bfbf`])
  .join(' ')

/** The groups 6.5 to 6.23, most of them from Markus Kuhn's "UTF-8 decoder capability and stress test". */
const groups: readonly (readonly Sequence[])[] = [
  [...['$', '¢', '€', '𤭢'].map((sign) => Buffer.from(`hello${sign}world`)), COSMOS].map((word) => [word, true]),
  prefixes,
  valid('00 c280 e0a080 f0908080'),
  invalid('f888808080 fc8480808080'),
  valid('7f dfbf efbfbf f48fbfbf'),
  invalid('f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf'),
  [...valid('ed9fbf ee8080 efbfbd f48fbfbf'), ...invalid('f4908080')],
  invalid(`80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf ${hexOf(0x80, 0xbf)}`),
  invalid(
    [
      [0xc0, 0xdf],
      [0xe0, 0xef],
      [0xf0, 0xf7],
      [0xf8, 0xfb],
      [0xfc, 0xfd],
    ]
      .map(([from = 0, to = 0]) => hexOf(from, to, '20'))
      .join(' '),
  ),
  invalid(UNFINISHED),
  invalid(UNFINISHED.replaceAll(' ', '')),
  invalid('fe ff fefeffff'),
  invalid('c0af e080af f08080af f8808080af fc80808080af'),
  invalid('c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf'),
  invalid('c080 e08080 f0808080 f880808080 fc8080808080'),
  invalid('eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf'),
  invalid('eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf'),
  valid(`efbfbe efbfbf ${NON_CHARACTERS}`),
  valid('efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf'),
]

const sequenceCases = groups.flatMap((group, index) =>
  group.map(([payload, isValid], at): ScriptedCase => {
    const id = `6.${5 + index}.${at + 1}`
    return { id, frames: [text(payload)], ...(isValid ? { answers: [text(payload)] } : { ends: INVALID_TEXT }) }
  }),
)

/** Section 6: text and what is none. */
export const utf8Cases: readonly ScriptedCase[] = [...cuts, ...sequenceCases]
