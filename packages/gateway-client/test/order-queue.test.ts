import { Flag, GatewayWorkerError } from '@gatewayworker/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Order, OrderQueue, type QueueLink } from '../src/order-queue.ts'

const BUFFER_SIZE_BYTES = 10_000
const DEADLINE_MS = 5_000
const ROOM_MS = 500
const HEADER_BYTES = 28

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** The near end of a link, whose other side takes what it is told to take. */
class Wire implements QueueLink {
  isFull = false
  /** The numbers of the orders that were put on it, in order. */
  readonly sent: number[]
  readonly #frames: number[] = []
  bufferedBytes = 0

  constructor(sent: number[]) {
    this.sent = sent
  }

  send(_command: number, connectionId = 0, _flag = 0, ext: Uint8Array | string = '', body: Uint8Array | string = '') {
    this.sent.push(connectionId)
    this.#frames.push(HEADER_BYTES + ext.length + body.length)
    this.bufferedBytes += this.#frames.at(-1)!
    if (this.bufferedBytes >= BUFFER_SIZE_BYTES) this.isFull = true
  }

  /** The other side takes so many frames. */
  take(frames: number): void {
    for (const bytes of this.#frames.splice(0, frames)) this.bufferedBytes -= bytes
    if (this.bufferedBytes <= BUFFER_SIZE_BYTES / 2) this.isFull = false
  }
}

function order(number: number, bytes = 0): Order {
  return { body: 'x'.repeat(bytes), command: 6, connectionId: number, ext: '', flag: 0 }
}

/** A queue, what left by any of its links, and what became of each send. */
function start() {
  const queue = new OrderQueue<Wire>({
    address: '127.0.0.1:2900',
    bufferSizeBytes: BUFFER_SIZE_BYTES,
    deadlineMs: DEADLINE_MS,
  })
  const sent: number[] = []
  const outcomes = new Map<number, string>()
  let count = 0
  /** Sends an order and returns its number. */
  const send = (bytes = 0): number => {
    count += 1
    const number = count
    const wait = queue.send(order(number, bytes), '')
    outcomes.set(number, wait === undefined ? 'sent' : 'waits')
    wait?.then(
      () => outcomes.set(number, 'sent'),
      (error) => outcomes.set(number, (error as GatewayWorkerError).code),
    )
    return number
  }
  const up = (): Wire => {
    const wire = new Wire(sent)
    queue.onUp(wire)
    return wire
  }
  /** Sends until the link holds all that it may. */
  const fill = (wire: Wire): void => {
    while (!wire.isFull) send(1_000)
  }
  return { fill, outcomes, queue, send, sent, up }
}

const broken = () => new GatewayWorkerError('LINK_CLOSED', 'broken')
const settle = async () => {
  for (let step = 0; step < 5; step += 1) await Promise.resolve()
}
const pass = async (ms: number) => {
  vi.advanceTimersByTime(ms)
  await settle()
}

describe('orders to a gateway', () => {
  test('that is down leave in order when it is linked, before any that is given later', () => {
    const { queue, send, sent, up } = start()
    send()
    send()
    const wire = new Wire(sent)
    queue.onUp(wire)
    expect(sent).toEqual([1, 2])
    send()
    expect(sent).toEqual([1, 2, 3])
    queue.onDown(broken(), false)
    send()
    up()
    send()
    expect(sent).toEqual([1, 2, 3, 4, 5])
  })

  test('that is down wait until its deadline, with one timer, and later ones do not wait at all', async () => {
    const { outcomes, queue, send, up } = start()
    up()
    queue.onDown(broken(), false)
    send()
    await pass(DEADLINE_MS - 100)
    send()
    expect(vi.getTimerCount()).toBe(1)
    expect([...outcomes.values()]).toEqual(['waits', 'waits'])
    await pass(100)
    send()
    await settle()
    expect([...outcomes.values()]).toEqual(['LINK_CLOSED', 'LINK_CLOSED', 'LINK_CLOSED'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('that is down are bounded in bytes, awaited or not', async () => {
    const { outcomes, queue, send } = start()
    for (let at = 0; at < 1_000; at += 1) send(1_000)
    await settle()
    expect(queue.waitingBytes).toBeLessThan(BUFFER_SIZE_BYTES + 2_000)
    expect([...outcomes.values()].filter((outcome) => outcome === 'HELLO_TIMEOUT').length).toBeGreaterThan(980)
  })

  test('that does not want us reject at once', async () => {
    const { outcomes, queue, send } = start()
    send()
    queue.onDown(new GatewayWorkerError('WRONG_SECRET', 'no'), true)
    send()
    await settle()
    expect([...outcomes.values()]).toEqual(['WRONG_SECRET', 'WRONG_SECRET'])
  })

  test('that takes nothing wait half a second for room; then they are rejected at once until it takes some', async () => {
    const { fill, outcomes, queue, send, sent, up } = start()
    const wire = up()
    fill(wire)
    const late = send()
    await pass(ROOM_MS - 50)
    expect(outcomes.get(late)).toBe('waits')
    await pass(50)
    expect(outcomes.get(late)).toBe('QUEUE_FULL')
    const atOnce = send()
    await settle()
    expect(outcomes.get(atOnce)).toBe('QUEUE_FULL')
    wire.take(1)
    queue.onProgress()
    const after = send()
    expect(sent.at(-1)).toBe(after)
    expect(sent).not.toContain(late)
  })

  test('that takes them slowly go on as soon as there is room for one', async () => {
    const { fill, outcomes, queue, send, up } = start()
    const wire = up()
    fill(wire)
    const [first, second] = [send(1_000), send(1_000)]
    wire.take(1)
    queue.onProgress()
    await settle()
    expect([outcomes.get(first), outcomes.get(second)]).toEqual(['sent', 'waits'])
    await pass(ROOM_MS)
    expect(outcomes.get(second)).toBe('QUEUE_FULL')
  })

  test('do not overtake those that wait, when there is room that these have not been told of', () => {
    const { fill, queue, send, sent, up } = start()
    const wire = up()
    fill(wire)
    const first = send()
    wire.take(Number.POSITIVE_INFINITY)
    const second = send()
    queue.onProgress()
    expect(sent.slice(-2)).toEqual([first, second])
  })

  test('that took nothing and is then lost have been waited for', async () => {
    const { fill, outcomes, queue, send, up } = start()
    fill(up())
    send()
    await pass(ROOM_MS)
    queue.onDown(broken(), false)
    const later = send()
    await settle()
    expect(outcomes.get(later)).toBe('LINK_CLOSED')
  })

  test('that wait have bytes of their own', async () => {
    const { queue, up } = start()
    const body = Buffer.from('as it was')
    const bodies: string[] = []
    void queue.ask({ ...order(1), body }, '', (_link, { body }) => bodies.push(String(body)))
    body.fill('!')
    up()
    await settle()
    expect(bodies).toEqual(['as it was'])
  })

  test('whose link is in doubt wait until it has answered, or for the next one', async () => {
    const { outcomes, queue, send, sent, up } = start()
    up()
    let answer = () => {}
    void queue.doubt(() => new Promise<void>((resolve) => (answer = resolve)))
    send()
    await pass(100)
    expect(sent).toEqual([])
    answer()
    await settle()
    expect(sent).toEqual([1])
    void queue.doubt(() => Promise.reject(broken()))
    const next = send()
    await settle()
    expect(outcomes.get(next)).toBe('waits')
    queue.onDown(broken(), false)
    up()
    await settle()
    expect([sent, outcomes.get(next)]).toEqual([[1, 2], 'sent'])
  })

  test('in doubt are rejected when no answer comes, and the link is asked again', async () => {
    const { outcomes, queue, send, sent, up } = start()
    up()
    const answers: { reject(error: Error): void; resolve(): void }[] = []
    void queue.doubt(() => new Promise<void>((resolve, reject) => answers.push({ reject, resolve })))
    send()
    await pass(DEADLINE_MS)
    answers[0]!.reject(new GatewayWorkerError('QUESTION_TIMED_OUT', 'late'))
    await settle()
    expect(outcomes.get(1)).toBe('QUESTION_TIMED_OUT')
    answers[1]!.resolve()
    await settle()
    send()
    expect(sent).toEqual([2])
  })

  test('that change the session of a client that is served by the link are not given up before it is', async () => {
    const { fill, outcomes, queue, send, sent, up } = start()
    const wire = up()
    fill(wire)
    const other = send()
    const done: string[] = []
    const change = (number: number) =>
      queue.send({ ...order(number), flag: Flag.OWN_CHANGE }, '')?.then(
        () => done.push(`${number} sent`),
        ({ code }) => done.push(`${number} ${code}`),
      )
    void change(1_000)
    await pass(2 * DEADLINE_MS)
    expect([outcomes.get(other), done]).toEqual(['QUEUE_FULL', []])
    wire.take(Number.POSITIVE_INFINITY)
    queue.onProgress()
    await settle()
    expect([sent.at(-1), done]).toEqual([1_000, ['1000 sent']])
    fill(wire)
    void change(2_000)
    queue.onDown(broken(), false)
    await settle()
    expect(done).toEqual(['1000 sent', '2000 LINK_CLOSED'])
  })

  test('about the link itself keep their place, wait as long as it lasts, and go with it', async () => {
    const { fill, queue, send, sent, up } = start()
    const wire = up()
    fill(wire)
    const before = send()
    queue.sendOnLink(order(1_000))
    await pass(ROOM_MS)
    wire.take(Number.POSITIVE_INFINITY)
    queue.onProgress()
    expect(sent).not.toContain(before)
    expect(sent.at(-1)).toBe(1_000)
    fill(wire)
    send()
    queue.sendOnLink(order(2_000))
    queue.onDown(broken(), false)
    up()
    expect(sent).not.toContain(2_000)
  })
})

type Step =
  | { kind: 'send' | 'sendOnLink'; bytes: number }
  /** The other side takes frames, and the queue hears of it, or not yet. */
  | { kind: 'take'; frames: number; isHeard: boolean }
  | { kind: 'pass'; ms: number }
  | { kind: 'up' | 'break' | 'timeOut' | 'refuse' | 'doubt' | 'answer' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('send' as const), bytes: fc.nat(8_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sendOnLink' as const), bytes: fc.nat(100) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), frames: fc.nat(6), isHeard: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(100, ROOM_MS, DEADLINE_MS) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('up', 'answer' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('break', 'timeOut', 'refuse', 'doubt' as const) }) },
) as fc.Arbitrary<Step>

describe('whatever happens to the links of a gateway', () => {
  test('orders leave in order, none twice; each promise settles, and resolves if and only if its order has left', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), fc.boolean(), async (steps, leaves) => {
        const { outcomes, queue, send, sent, up } = start()
        const left: number[] = []
        let wire: Wire | undefined
        let answers: (() => void)[] = []
        let ofLink: number[] = []
        let onLink = 0
        for (const step of steps) {
          const waiting = [...outcomes].filter(([, outcome]) => outcome === 'waits').map(([number]) => number)
          switch (step.kind) {
            case 'send':
              send(step.bytes)
              break
            case 'sendOnLink':
              onLink -= 1
              if (wire !== undefined) ofLink.push(onLink)
              queue.sendOnLink(order(onLink, step.bytes))
              break
            case 'take':
              wire?.take(step.frames)
              if (wire !== undefined && step.isHeard) queue.onProgress()
              break
            case 'pass':
              vi.advanceTimersByTime(step.ms)
              break
            case 'up':
              if (wire !== undefined) break
              wire = up()
              // All that waits fits a new link, and has left in this very turn.
              expect(sent.slice(sent.length - waiting.length)).toEqual(waiting)
              break
            case 'break':
            case 'timeOut':
            case 'refuse':
              wire = undefined
              answers = []
              ofLink = []
              queue.onDown(
                new GatewayWorkerError(step.kind === 'timeOut' ? 'LINK_TIMED_OUT' : 'LINK_CLOSED', step.kind),
                step.kind === 'refuse',
              )
              break
            case 'doubt':
              void queue.doubt(() => new Promise<void>((resolve) => answers.push(resolve)))
              break
            case 'answer':
              for (const answer of answers.splice(0)) answer()
              break
          }
          await settle()
          // What is about a link left on that, or is still to.
          for (const number of sent.splice(0)) {
            left.push(number)
            if (number < 0) expect(ofLink.shift()).toBe(number)
          }
          expect(queue.waitingBytes).toBeLessThan(BUFFER_SIZE_BYTES + 9_000)
          expect(vi.getTimerCount()).toBeLessThanOrEqual(1)
        }
        if (leaves) queue.close(undefined)
        await pass(DEADLINE_MS + ROOM_MS)
        const calls = [...left, ...sent].filter((number) => number > 0)
        expect(calls).toEqual([...new Set(calls)].toSorted((a, b) => a - b))
        for (const [number, outcome] of outcomes) {
          expect(outcome).not.toBe('waits')
          if (!leaves) expect([number, outcome === 'sent']).toEqual([number, calls.includes(number)])
          else if (outcome !== 'sent') expect(calls).not.toContain(number)
        }
        expect(vi.getTimerCount()).toBe(0)
      }),
      { numRuns: 500 },
    )
  })
})
