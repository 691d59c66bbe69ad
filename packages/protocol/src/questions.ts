import { decodeAnswer, msgpack } from './codec.ts'
import { Flag } from './commands.ts'
import { GatewayWorkerError, isErrorCode } from './errors.ts'
import type { Frame } from './frame.ts'
import { MAX_TIMER_MS } from './times.ts'

const MAX_ID = 0xffffffff

interface Question {
  pieces: Buffer[]
  reject(error: Error): void
  resolve(answer: unknown): void
  timer: NodeJS.Timeout
}

/**
 * The questions asked on one link and not answered yet, each under its id. Every one of them ends: with its answer, at its deadline,
 * or when the link closes.
 */
export class Questions {
  readonly #open = new Map<number, Question>()
  #lastId: number

  /** The first question has the number after `lastId`. */
  constructor(lastId = 0) {
    this.#lastId = lastId
  }

  /** Opens a question: `send` gets its id and sends it. Rejects with QUESTION_TIMED_OUT, or with what `send` throws. */
  ask(peer: string, deadlineMs: number, send: (id: number) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#takeId()
      send(id)
      const timer = setTimeout(
        () => {
          this.#open.delete(id)
          reject(new GatewayWorkerError('QUESTION_TIMED_OUT', `${peer} did not answer within ${deadlineMs} ms`))
        },
        Math.min(deadlineMs, MAX_TIMER_MS),
      )
      this.#open.set(id, { pieces: [], reject, resolve, timer })
    })
  }

  /** Takes an ANSWER; one that comes after its deadline is dropped. */
  onAnswer(frame: Frame): void {
    const question = this.#open.get(frame.id)
    if (question === undefined) return
    if ((frame.flag & Flag.MORE) !== 0) {
      question.pieces.push(Buffer.from(frame.body)) // it outlives its chunk
      return
    }
    this.#open.delete(frame.id)
    clearTimeout(question.timer)
    // Copied too: byte strings in the answer are views, and the asker may keep them.
    const bytes = Buffer.concat([...question.pieces, frame.body])
    try {
      if ((frame.flag & Flag.ERROR) !== 0) question.reject(errorFromPeer(bytes))
      else question.resolve(decodeAnswer(bytes))
    } catch (error) {
      question.reject(error as Error)
    }
  }

  /** Ends every open question with an error of its own. */
  rejectAll(createError: () => GatewayWorkerError): void {
    for (const question of this.#open.values()) {
      clearTimeout(question.timer)
      question.reject(createError())
    }
    this.#open.clear()
  }

  #takeId(): number {
    do {
      this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1
    } while (this.#open.has(this.#lastId))
    return this.#lastId
  }
}

/** The body of a REFUSED or of an error ANSWER. */
export function encodeError(error: GatewayWorkerError): Buffer {
  return msgpack.encode({ code: error.code, message: error.message })
}

/** The error that a REFUSED or an error ANSWER carries. */
export function errorFromPeer(body: Uint8Array): GatewayWorkerError {
  const said = msgpack.decode(body) as { code?: unknown; message?: unknown } | null
  const message = typeof said?.message === 'string' ? said.message : 'the peer gave no reason'
  return new GatewayWorkerError(isErrorCode(said?.code) ? said.code : 'ANSWER_FAILED', message)
}
