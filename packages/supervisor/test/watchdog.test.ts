import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { fixture, type LogLine, Program } from './program.ts'

/** Twice what a busy machine may take to stop a process and look into it. */
const LIMIT_MS = 800
const file = fixture('watched.mjs')
const programs: Program[] = []

afterEach(async () => {
  for (const program of programs.splice(0)) {
    program.process.kill('SIGKILL')
    await program.exit()
  }
})

/** Has a new process do a task within a handler. */
async function run(task: string, env: Record<string, string> = {}): Promise<Program> {
  const program = new Program(file, [task], { LIMIT_MS: String(LIMIT_MS), ...env })
  programs.push(program)
  await program.line(hasMessage('listening'))
  program.process.kill('SIGUSR2')
  return program
}

function hasMessage(text: string): (line: LogLine) => boolean {
  return ({ msg }) => msg.includes(text)
}

function stackOf(line: LogLine): string {
  return (line.err as { stack: string }).stack
}

/** Where in the fixture some code stands, as a stack has it. */
function position(code: string): string {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .findIndex((text) => text.includes(code))
  return `watched.mjs:${line + 1}:`
}

const isBlocked = ({ msg }: LogLine) => msg === 'the event loop is blocked'
const isFatal = ({ level }: LogLine) => level === 'fatal'

describe('a block without end', () => {
  test.each([
    ['an endless loop', 'for (;;);'],
    ['an endless regular expression', '/^(a+)+$/'],
    ['an endless wait', 'Atomics.wait('],
    ['an endless chain of promises', 'await null'],
    ['an endless chain of ticks', 'process.nextTick(again)'],
  ])('by %s is logged with where it is, and ended', async (task, code) => {
    const program = await run(task)
    const line = await program.line(isBlocked)
    expect(line).toMatchObject({
      index: 7,
      level: 'error',
      pid: program.process.pid,
      process: 'Watched',
      subject: task,
    })
    expect(line.blockedMs).toBeGreaterThanOrEqual(LIMIT_MS)
    expect(stackOf(line)).toContain(position(code))
    expect(stackOf(line)).not.toMatch(/watchdog|anonymous>:1:/)
    expect(await program.exit()).toBe('SIGKILL')
    const [end] = program.log.filter(isFatal)
    expect(end).toMatchObject({ index: 7, pid: program.process.pid, process: 'Watched' })
    expect(end!.blockedMs).toBeGreaterThanOrEqual(2 * LIMIT_MS)
    expect(program.log.filter(isBlocked)).toHaveLength(1)
  })

  test('outside JavaScript is logged without, and ended', async () => {
    const program = await run('an endless calculation')
    expect(await program.exit()).toBe('SIGKILL')
    expect(program.log.map(({ level, msg }) => [level, msg])).toEqual([
      ['info', 'listening'],
      ['fatal', expect.stringContaining('gives no stack')],
    ])
  })

  test('is ended also where lines below fatal are not logged', async () => {
    const program = await run('an endless loop', { LOG_LEVEL: 'fatal' })
    expect(await program.exit()).toBe('SIGKILL')
    expect(program.log.map(({ level, msg }) => (level === 'info' ? msg : level))).toEqual([
      'listening',
      'asked',
      'fatal',
    ])
  })

  test('is ended also when nobody reads the log', async () => {
    const program = await run('a log that nobody reads')
    program.process.stdout!.pause()
    await new Promise((resolve) => program.process.once('exit', resolve))
    program.process.stdout!.resume()
    expect(await program.exit()).toBe('SIGKILL')
  })
})

describe('a block that ends', () => {
  test('within the limit is not mentioned', async () => {
    const program = await run('a short loop')
    const over = await program.line(hasMessage('over'))
    expect(over.tookMs).toBeGreaterThan(LIMIT_MS * 0.9)
    expect(program.log.map(({ msg }) => msg)).toEqual(['listening', 'over'])
  })

  test('beyond it is logged, and the process goes on in the order it would have had', async () => {
    const program = await run('a long loop')
    const line = await program.line(isBlocked)
    expect(stackOf(line)).toContain(position('while (performance.now() < end)'))
    expect(stackOf(line)).toContain(position("'a long loop': "))
    expect(await program.line(hasMessage('over'))).toMatchObject({ order: ['done', 'tick', 'promise', 'timer'] })
    expect(await program.line(hasMessage('free again'))).toMatchObject({ level: 'warn' })
    program.process.kill('SIGUSR2')
    await program.lines(2, isBlocked)
    await program.lines(2, hasMessage('over'))
    expect(program.log.filter(isFatal)).toEqual([])
  })

  test('outside JavaScript is logged when it gives no stack, and with where it came back', async () => {
    const program = await run('a long command', { LIMIT_MS: '2000' })
    const line = await program.line(hasMessage('back here'))
    expect(stackOf(line)).toContain(position("'a long command': "))
    await program.line(hasMessage('over'))
    expect(program.log.filter(({ level }) => level === 'error')).toMatchObject([
      { msg: expect.stringContaining('gives no stack') },
      { msg: line.msg },
    ])
  })
})

describe('the handler of blocks', () => {
  test('is called within the blocked code with what is logged', async () => {
    const program = await run('an endless loop')
    const { report } = await program.line(hasMessage('asked'))
    const line = program.log.find(isBlocked)!
    expect(report).toEqual({ blockedMs: line.blockedMs, stack: stackOf(line), subject: 'an endless loop' })
  })

  test('keeps the process for one more period whenever it returns true', async () => {
    const program = await run('an endless loop', { ANSWER: 'keep' })
    expect(await program.exit()).toBe('SIGKILL')
    const asked = program.log.filter(isBlocked).map(({ blockedMs }) => Math.floor(Number(blockedMs) / LIMIT_MS))
    expect(asked).toEqual([1, 2, 3])
    expect(Math.floor(Number(program.log.find(isFatal)!.blockedMs) / LIMIT_MS)).toBe(4)
  })

  test('does not keep it by not returning', async () => {
    const program = await run('an endless loop', { ANSWER: 'never' })
    expect(await program.exit()).toBe('SIGKILL')
    expect(program.log.map(({ msg }) => msg).slice(-2)).toEqual(['asked', expect.stringContaining('still blocked')])
  })

  test('does not keep it by throwing', async () => {
    const program = await run('an endless loop', { ANSWER: 'throw' })
    expect(await program.line(hasMessage('handler of a blocked'))).toMatchObject({ err: { message: 'no answer' } })
    expect(await program.exit()).toBe('SIGKILL')
  })
})

describe('what is no block', () => {
  test('is a process that was suspended', async () => {
    const program = await run('a suspended loop')
    await program.line(hasMessage('suspended'))
    // Longer than a process is let live that is stuck; nothing else tells that time has passed for one that stands still.
    await new Promise((resolve) => setTimeout(resolve, 3 * LIMIT_MS))
    program.process.kill('SIGCONT')
    const over = await program.line(hasMessage('over'))
    expect(over.tookMs).toBeGreaterThan(2 * LIMIT_MS)
    expect(program.log.map(({ msg }) => msg)).toEqual(['listening', 'suspended', 'over'])
  })

  test('is one that a debugger may have paused', async () => {
    const program = await run('a long loop', { NODE_OPTIONS: '--inspect=127.0.0.1:0' })
    await program.line(hasMessage('over'))
    expect(program.log.map(({ msg }) => msg)).toEqual(['listening', 'over'])
  })
})

test('the watchdog keeps nobody alive', async () => {
  const program = await run('no more')
  expect(await program.exit()).toBe(0)
})
