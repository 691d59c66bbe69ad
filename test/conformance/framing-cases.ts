import { binary, close, PROTOCOL_ERROR, ping, pong, text, withRsv } from './frames.ts'
import type { ScriptedCase } from './scripted-case.ts'

const HELLO = 'Hello, world!'
const NOT_TEXT = Buffer.from('00fffefdfcfb00ff', 'hex')
const PINGS = Array.from({ length: 10 }, (_, index) => `payload-${index}`)

/** Section 1: lengths around those where the encoding changes. */
const LENGTHS = [0, 125, 126, 127, 128, 65_535, 65_536]
const echoes = (['*', '\xfe'] as const).flatMap((character, kind): ScriptedCase[] => {
  const message = (length: number) => (kind === 0 ? text : binary)(Buffer.alloc(length, character, 'latin1'))
  const whole = LENGTHS.map((length, index) => ({
    id: `1.${kind + 1}.${index + 1}`,
    frames: [message(length)],
    answers: [message(length)],
  }))
  return [...whole, { id: `1.${kind + 1}.8`, frames: [message(65_536)], chop: 997, answers: [message(65_536)] }]
})

/** Section 2: pings and pongs. */
const pings: ScriptedCase[] = [
  { id: '2.1', frames: [ping()], answers: [pong()] },
  { id: '2.2', frames: [ping(HELLO)], answers: [pong(HELLO)] },
  { id: '2.3', frames: [ping(NOT_TEXT)], answers: [pong(NOT_TEXT)] },
  { id: '2.4', frames: [ping(Buffer.alloc(125, 0xfe))], answers: [pong(Buffer.alloc(125, 0xfe))] },
  { id: '2.5', frames: [ping(Buffer.alloc(126, 0xfe))], ends: PROTOCOL_ERROR },
  { id: '2.6', frames: [ping(Buffer.alloc(125, 0xfe))], chop: 1, answers: [pong(Buffer.alloc(125, 0xfe))] },
  { id: '2.7', frames: [pong()] },
  { id: '2.8', frames: [pong('unasked for')] },
  { id: '2.9', frames: [pong('unasked for'), ping(HELLO)], answers: [pong(HELLO)] },
  { id: '2.10', frames: PINGS.map(ping), answers: PINGS.map(pong) },
  { id: '2.11', frames: PINGS.map(ping), chop: 1, answers: PINGS.map(pong) },
]

/** Section 3: reserved bits, without an extension that gives them a meaning. */
const reservedBits: ScriptedCase[] = [
  { id: '3.1', frames: [withRsv(text(HELLO), 1)] },
  { id: '3.2', frames: [text(HELLO), withRsv(text(HELLO), 2), ping()], answers: [text(HELLO)] },
  { id: '3.3', frames: [text(HELLO), withRsv(text(HELLO), 3), ping()], chop: 'frame' as const, answers: [text(HELLO)] },
  { id: '3.4', frames: [text(HELLO), withRsv(text(HELLO), 4), ping()], chop: 1, answers: [text(HELLO)] },
  { id: '3.5', frames: [withRsv(binary(NOT_TEXT), 5)] },
  { id: '3.6', frames: [withRsv(ping(HELLO), 6)] },
  { id: '3.7', frames: [withRsv(close(), 7)] },
].map((scripted) => ({ ...scripted, ends: PROTOCOL_ERROR }))

/** Section 4: reserved opcodes, five for data and five for control. */
const reservedOpcodes = [3, 11].flatMap((first, kind): ScriptedCase[] =>
  [
    { frames: [{ opcode: first }] },
    { frames: [{ opcode: first + 1, payload: HELLO }] },
    { frames: [text(HELLO), { opcode: first + 2 }, ping()], answers: [text(HELLO)] },
    { frames: [text(HELLO), { opcode: first + 3, payload: HELLO }, ping()], answers: [text(HELLO)] },
    { frames: [text(HELLO), { opcode: first + 4, payload: HELLO }, ping()], chop: 1, answers: [text(HELLO)] },
  ].map((scripted, index) => ({ ...scripted, id: `4.${kind + 1}.${index + 1}`, ends: PROTOCOL_ERROR })),
)

/** Sections 1 to 4. */
export const framingCases: readonly ScriptedCase[] = [...echoes, ...pings, ...reservedBits, ...reservedOpcodes]
