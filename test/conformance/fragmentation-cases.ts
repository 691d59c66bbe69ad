import type { Chop } from '../raw-web-socket.ts'
import { continuation, PROTOCOL_ERROR, ping, pong, text, unfinished } from './frames.ts'
import type { ScriptedCase } from './scripted-case.ts'

const [ONE, TWO] = ['fragment1', 'fragment2']
const WHOLE = text(`${ONE}${TWO}`)
const [PING_ONE, PING_TWO] = ['pongme 1!', 'pongme 2!']

/** The ways to cut in which a script is played: three cases with numbers that follow each other. */
const CHOPS: readonly Chop[] = [undefined, 'frame', 1]
const inEveryWay = (first: number, scripted: Omit<ScriptedCase, 'id'>): ScriptedCase[] =>
  CHOPS.map((chop, index) => ({ ...scripted, chop, id: `5.${first + index}` }))

const nothingToContinue = (fin: boolean) => ({
  frames: [{ ...continuation('nothing to continue'), fin }, text('Hello, world!')],
  ends: PROTOCOL_ERROR,
})
const twice = (fin: boolean) => {
  const frames = [{ ...continuation(ONE), fin }, unfinished(text(ONE)), continuation(TWO)]
  return { frames: [...frames, ...frames], ends: PROTOCOL_ERROR }
}
const slowly = {
  frames: [unfinished(text('1')), unfinished(continuation('2')), ping(PING_ONE)],
  // The first ping is answered although its message is incomplete.
  later: [unfinished(continuation('3')), unfinished(continuation('4')), ping(PING_TWO), continuation('5')],
  answers: [pong(PING_ONE), pong(PING_TWO), text('12345')],
}

/** Section 5: messages in several frames. */
export const fragmentationCases: readonly ScriptedCase[] = [
  { id: '5.1', frames: [unfinished(ping(ONE)), continuation(TWO)], ends: PROTOCOL_ERROR },
  { id: '5.2', frames: [unfinished(pong(ONE)), continuation(TWO)], ends: PROTOCOL_ERROR },
  ...inEveryWay(3, { frames: [unfinished(text(ONE)), continuation(TWO)], answers: [WHOLE] }),
  ...inEveryWay(6, { frames: [unfinished(text(ONE)), ping('p'), continuation(TWO)], answers: [pong('p'), WHOLE] }),
  ...inEveryWay(9, nothingToContinue(true)),
  ...inEveryWay(12, nothingToContinue(false)),
  {
    id: '5.15',
    frames: [unfinished(text(ONE)), continuation(TWO), unfinished(continuation('3')), text('4')],
    answers: [WHOLE],
    ends: PROTOCOL_ERROR,
  },
  { id: '5.16', ...twice(false) },
  { id: '5.17', ...twice(true) },
  { id: '5.18', frames: [unfinished(text(ONE)), text(TWO)], ends: PROTOCOL_ERROR },
  { id: '5.19', ...slowly },
  { id: '5.20', ...slowly, chop: 'frame' },
]
