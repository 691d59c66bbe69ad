// The program of the watchdog's thread, which goes on when the main thread does not: it notices that beats stay away, has the
// main thread say where it is, and ends the process. It logs by itself what the main thread cannot, without pino: in every process'
// second thread that would take up to 12 MB, and loading it when it is needed might find the files of another version.
import { write } from 'node:fs'
import { Session } from 'node:inspector'
import { workerData } from 'node:worker_threads'
import { BLOCKED_HOOK, INSPECTOR_SCRIPT, SharedSlot, type WatchdogData } from './watchdog.ts'

/** A log that nobody reads may be what blocks the process: this long its last line is tried to be written. */
const WRITE_TIMEOUT_MS = 1000
const WRITE_AGAIN_MS = 20
const LEVELS = { warn: 40, error: 50, fatal: 60 } as const
/** A main thread that runs JavaScript answers within this, on a busy machine too. */
const ANSWER_TIMEOUT_MS = 1000
/** How far the main thread is followed through Node's own code. */
const MAX_STEPS = 100
const STDOUT = 1
const NO_STACK = 'gives no stack, as in a synchronous call of Node or of a native module'
const beatingFile = new URL('./watchdog.js', import.meta.url).href

const { bindings, limitMs, minLevel, shared, tickMs } = workerData as WatchdogData
const answerTimeoutMs = Math.max(ANSWER_TIMEOUT_MS, limitMs / 2)

/** A block of the main thread that has lasted for `limitMs`. */
interface Block {
  /** How the question where the main thread is stands; `silent`: it was logged that no answer comes. */
  answer: 'awaited' | 'silent' | 'begun' | 'given'
  /** Whether the user's code wants to wait until the next period. */
  isExcused: boolean
  /** How many times `limitMs` it has lasted. */
  periods: number
  /** There as long as the inspector is attached. */
  session: Session | undefined
}

let block: Block | undefined
let lastBeat = -1
let silentMs = 0
let tickedAt = performance.now()

const timer = setInterval(onTick, tickMs)

function onTick(): void {
  const now = performance.now()
  // A longer gap is one in which this thread stood still as well: a suspended process, a laptop asleep.
  silentMs += Math.min(now - tickedAt, 2 * tickMs)
  tickedAt = now
  const beat = Atomics.load(shared, SharedSlot.BEATS)
  if (beat !== lastBeat || Atomics.load(shared, SharedSlot.HAS_DEBUGGER) === 1) {
    if (block !== undefined) onFree(block)
    lastBeat = beat
    silentMs = 0
  } else if (blockedMs() >= limitMs) onBlocked()
}

/** For how long the main thread is blocked at least: the loop was free for up to a tick after its last beat. */
function blockedMs(): number {
  return Math.round(silentMs - tickMs)
}

function onBlocked(): void {
  block ??= { answer: 'given', isExcused: true, periods: 0, session: undefined }
  const periods = Math.floor(blockedMs() / limitMs)
  if (periods > block.periods) {
    block.periods = periods
    if (block.isExcused) ask(block)
    else end(block)
  } else if (block.answer === 'awaited' && blockedMs() >= periods * limitMs + answerTimeoutMs) {
    block.answer = 'silent'
    log('error', `the event loop is blocked and ${NO_STACK}`)
  }
}

/** Has the main thread report where it is; it answers as soon as it runs JavaScript, a regular expression or Atomics.wait. */
function ask(block: Block): void {
  block.answer = 'awaited'
  block.isExcused = false
  try {
    const session = new Session()
    const files = new Map<string, string>()
    let steps = 0
    session.connectToMainThread()
    block.session = session
    session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url))
    session.on('Debugger.paused', ({ params }) => {
      const stack = params.callFrames.map(({ location }) => files.get(location.scriptId) ?? '')
      if (Atomics.load(shared, SharedSlot.BEATS) !== lastBeat || stack.includes(beatingFile)) {
        release(block) // it was over before the question came, and this is the next code to run
      } else if (stack.every((file) => file.startsWith('node:')) && steps < MAX_STEPS) {
        steps += 1 // between two promises of an endless chain of them: further on is the code that makes them
        session.post('Debugger.stepInto')
      } else evaluate(block, session)
    })
    session.post('Debugger.enable')
    session.post('Debugger.pause')
  } catch (error) {
    block.answer = 'given'
    log('error', `the event loop is blocked, and where is not to be found out: ${error}`)
  }
}

/** Runs the main thread's half of the report within the code that blocks it, which then goes on. */
function evaluate(block: Block, session: Session): void {
  const call = `globalThis[Symbol.for('${BLOCKED_HOOK}')](${blockedMs()}, ${block.answer === 'silent'})`
  const expression = `${call}\n//# sourceURL=${INSPECTOR_SCRIPT}`
  block.answer = 'begun'
  session.post('Runtime.evaluate', { expression, returnByValue: true, silent: true }, (_error, answer) => {
    block.answer = 'given'
    block.isExcused = answer?.result.value === true
    release(block)
  })
}

/** Lets go of the main thread, which goes on if it is paused. */
function release(block: Block): void {
  block.session?.disconnect()
  block.session = undefined
}

function onFree(freed: Block): void {
  release(freed)
  block = undefined
  log('warn', 'the event loop is free again')
}

function end({ answer }: Block): void {
  clearInterval(timer)
  setTimeout(kill, WRITE_TIMEOUT_MS)
  const why = answer === 'awaited' ? `blocked and ${NO_STACK}` : 'still blocked'
  log('fatal', `the event loop is ${why}: the process ends itself`, kill)
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL')
}

function log(level: keyof typeof LEVELS, msg: string, onWritten: () => void = () => {}): void {
  if (LEVELS[level] < minLevel) {
    onWritten()
    return
  }
  const time = new Date().toISOString()
  const line = { level, time, pid: process.pid, ...bindings, blockedMs: blockedMs(), msg }
  writeLog(`${JSON.stringify(line)}\n`, onWritten)
}

/** Writes without blocking this thread, in which nothing else is to wait for the log's reader. */
function writeLog(text: string, onWritten: () => void): void {
  write(STDOUT, text, (error) => {
    if (error?.code === 'EAGAIN') setTimeout(writeLog, WRITE_AGAIN_MS, text, onWritten)
    else onWritten()
  })
}
