import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { msgpack } from '../src/codec.ts'
import { Command, Flag } from '../src/commands.ts'
import { GatewayWorkerError } from '../src/errors.ts'
import { Frame } from '../src/frame.ts'
import { encodeError, errorFromPeer, Questions } from '../src/questions.ts'
import { buildFrame } from './build-frame.ts'

const answerBytes = (id: number, body: Uint8Array, flag = 0) =>
  buildFrame({ cmd: Command.ANSWER, local_ip: id, flag, body })
const answer = (id: number, body: Uint8Array, flag = 0) => new Frame(answerBytes(id, body, flag), 0)

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0) // no question leaves its deadline behind
  vi.useRealTimers()
})

/** Asks, and says under which id. */
function ask(questions: Questions, deadlineMs = 1000) {
  let id = 0
  const answered = questions.ask('the peer', deadlineMs, (given) => {
    id = given
  })
  return { answered, id }
}

describe('a question', () => {
  it('resolves with the answer of its own id, in whatever order they come', async () => {
    const questions = new Questions()
    const asked = ['a', 'b', 'c'].map((name) => ({ name, ...ask(questions) }))
    expect(asked.map(({ id }) => id)).toEqual([1, 2, 3])
    for (const { id, name } of asked.toReversed()) questions.onAnswer(answer(id, msgpack.encode({ name })))
    expect(await Promise.all(asked.map(({ answered }) => answered))).toEqual(
      ['a', 'b', 'c'].map((name) => new Map([['name', name]])),
    )
  })

  it('is asked under a number from 1 to 2^32-1, and not under one that is still open', async () => {
    const questions = new Questions(0xfffffffd)
    const asked = Array.from({ length: 4 }, () => ask(questions))
    expect(asked.map(({ id }) => id)).toEqual([0xfffffffe, 0xffffffff, 1, 2])
    for (const { id } of asked) questions.onAnswer(answer(id, msgpack.encode(id)))
    expect(await Promise.all(asked.map(({ answered }) => answered))).toEqual(asked.map(({ id }) => id))
  })

  it('does not get the number of one that is still open', async () => {
    const opened = vi.spyOn(Map.prototype, 'has')
    const questions = new Questions(0xfffffffe)
    const asked = [ask(questions)]
    // As if 2^32 questions had been asked since: all numbers but two are taken.
    opened.mockImplementation((id) => id !== 2 && id !== 0xffffffff)
    asked.push(ask(questions))
    opened.mockRestore()
    expect(asked.map(({ id }) => id)).toEqual([0xffffffff, 2])
    questions.rejectAll(() => new GatewayWorkerError('LINK_CLOSED', 'gone'))
    await Promise.allSettled(asked.map(({ answered }) => answered))
  })

  it('rejects at its deadline, not before, and says who did not answer', async () => {
    const questions = new Questions()
    const { answered } = ask(questions, 250)
    const onEnd = vi.fn()
    answered.catch(onEnd)
    await vi.advanceTimersByTimeAsync(249)
    expect(onEnd).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await expect(answered).rejects.toMatchObject({ code: 'QUESTION_TIMED_OUT', message: /the peer .*250 ms/ })
  })

  it('ignores an answer that comes after its deadline, and one that nobody asked for', async () => {
    const questions = new Questions()
    const late = ask(questions, 10)
    const waiting = ask(questions)
    vi.advanceTimersByTime(10)
    await expect(late.answered).rejects.toMatchObject({ code: 'QUESTION_TIMED_OUT' })
    questions.onAnswer(answer(late.id, msgpack.encode('late')))
    questions.onAnswer(answer(77, msgpack.encode('who asked?'), Flag.MORE))
    questions.onAnswer(answer(0, Buffer.from([0xc1])))
    questions.onAnswer(answer(waiting.id, msgpack.encode('in time')))
    expect(await waiting.answered).toBe('in time')
  })

  it('joins an answer that comes in pieces, those of several questions mixed, and keeps no view of a chunk', async () => {
    const questions = new Questions()
    const texts = ['x'.repeat(50), 'y'.repeat(70)]
    const asked = texts.map((text) => ({ ...ask(questions), bytes: msgpack.encode(Buffer.from(text)) }))
    for (let at = 0; at < 80; at += 7) {
      for (const { id, bytes } of asked) {
        const chunk = answerBytes(id, bytes.subarray(at, at + 7), at + 7 < bytes.length ? Flag.MORE : 0)
        if (at < bytes.length) questions.onAnswer(new Frame(chunk, 0))
        chunk.fill(0) // as a socket does that reads into one buffer
      }
    }
    const answers = await Promise.all(asked.map(({ answered }) => answered))
    expect(answers.map(String)).toEqual(texts)
  })

  it('keeps no view of a chunk when its answer comes whole either', async () => {
    const questions = new Questions()
    const { answered, id } = ask(questions)
    const chunk = answerBytes(id, msgpack.encode(Buffer.from('bytes')))
    questions.onAnswer(new Frame(chunk, 0))
    chunk.fill(0)
    expect(String(await answered)).toBe('bytes')
  })

  it('rejects with what the other side says is wrong, also when that comes in pieces', async () => {
    const questions = new Questions()
    const { answered, id } = ask(questions)
    const body = encodeError(new GatewayWorkerError('BAD_PARAMETERS', 'that makes no sense'))
    questions.onAnswer(answer(id, body.subarray(0, 5), Flag.MORE))
    questions.onAnswer(answer(id, body.subarray(5), Flag.ERROR))
    await expect(answered).rejects.toMatchObject({ code: 'BAD_PARAMETERS', message: 'that makes no sense' })
  })

  it.each([0, Flag.ERROR])('rejects with BAD_VALUE if the answer is damaged (flag %i)', async (flag) => {
    const questions = new Questions()
    const { answered, id } = ask(questions)
    questions.onAnswer(answer(id, Buffer.from([0x92, 0x01]), flag))
    await expect(answered).rejects.toMatchObject({ code: 'BAD_VALUE' })
  })

  it('that could not be sent rejects with the reason and is not open', async () => {
    const questions = new Questions()
    const refusal = new GatewayWorkerError('FRAME_TOO_LONG', 'too long')
    const answered = questions.ask('the peer', 10, () => {
      throw refusal
    })
    await expect(answered).rejects.toBe(refusal)
  })

  it('ends when the link does, and later ones are not touched by that', async () => {
    const questions = new Questions()
    const open = [ask(questions), ask(questions)]
    const reason = new GatewayWorkerError('LINK_CLOSED', 'gone')
    questions.rejectAll(() => reason)
    for (const { answered } of open) await expect(answered).rejects.toBe(reason)
    const next = ask(questions)
    questions.onAnswer(answer(next.id, msgpack.encode(1)))
    expect(await next.answered).toBe(1)
  })
})

describe('an error from the peer', () => {
  it('keeps its code and message', () => {
    const error = errorFromPeer(encodeError(new GatewayWorkerError('WRONG_SECRET', 'no')))
    expect(error).toMatchObject({ code: 'WRONG_SECRET', message: 'no' })
    expect(error.advice).toMatch(/secret-key/)
  })

  it.each([null, 'text', {}, { code: 'toString', message: 5 }, { code: 'A_CODE_OF_NEXT_YEAR' }])(
    'of a kind that we do not know is ANSWER_FAILED: %j',
    (said) => {
      expect(errorFromPeer(msgpack.encode(said))).toMatchObject({
        code: 'ANSWER_FAILED',
        message: 'the peer gave no reason',
      })
    },
  )
})
