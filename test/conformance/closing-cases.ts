import { encodeClose } from '../websocket-frame.ts'
import { close, continuation, INVALID_TEXT, PROTOCOL_ERROR, ping, text, unfinished } from './frames.ts'
import type { ScriptedCase } from './scripted-case.ts'

const NORMAL = encodeClose(1000)
const NOT_UTF8 = Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex')
const LONG = text('BAsd7&jh23'.repeat(26_215).slice(0, 256 * 1024))
const HELLO = text('Hello World!')

/** Codes that an endpoint may send (RFC 6455 section 7.4), and codes that it must not. */
const GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
const BAD_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]
/** Of which the RFC says nothing. */
const UNDEFINED_CODES = [5000, 65_535]

const rejected = (section: string, codes: readonly number[]) =>
  codes.map((code, index): ScriptedCase => {
    return { id: `7.${section}.${index + 1}`, frames: [close(encodeClose(code))], ends: PROTOCOL_ERROR }
  })

/** The answer to a goodbye has its code; whether it has the reason, too, is left open. */
function withReason(reason: string): Omit<ScriptedCase, 'id'> {
  return { frames: [close(encodeClose(1000, reason))], ends: [NORMAL, encodeClose(1000, reason)] }
}

/** Section 7: goodbyes. */
export const closingCases: readonly ScriptedCase[] = [
  { id: '7.1.1', frames: [HELLO], answers: [HELLO] },
  { id: '7.1.2', frames: [close(NORMAL), close()], ends: [NORMAL] },
  { id: '7.1.3', frames: [close(NORMAL), ping()], ends: [NORMAL] },
  { id: '7.1.4', frames: [close(NORMAL), HELLO], ends: [NORMAL] },
  { id: '7.1.5', frames: [unfinished(HELLO), close(NORMAL), continuation('more')], ends: [NORMAL] },
  { id: '7.1.6', frames: [LONG, HELLO, close(NORMAL), ping()], answers: [LONG, HELLO], ends: [NORMAL] },
  { id: '7.3.1', frames: [close()], ends: [Buffer.alloc(0)] },
  { id: '7.3.2', frames: [close('a')], ends: PROTOCOL_ERROR },
  { id: '7.3.3', frames: [close(NORMAL)], ends: [NORMAL] },
  { id: '7.3.4', ...withReason('Hello World!') },
  { id: '7.3.5', ...withReason('*'.repeat(123)) },
  { id: '7.3.6', frames: [close(encodeClose(1000, '*'.repeat(124)))], ends: PROTOCOL_ERROR },
  { id: '7.5.1', frames: [close(encodeClose(1000, NOT_UTF8))], ends: [...PROTOCOL_ERROR, ...INVALID_TEXT] },
  ...GOOD_CODES.map((code, index): ScriptedCase => {
    return { id: `7.7.${index + 1}`, frames: [close(encodeClose(code))], ends: [encodeClose(code)] }
  }),
  ...rejected('9', BAD_CODES),
  ...rejected('13', UNDEFINED_CODES),
]
