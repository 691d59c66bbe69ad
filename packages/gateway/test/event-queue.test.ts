import { Command } from '@gatewayworker/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClientEvent, EventQueue } from '../src/event-queue.ts'

/** A queue with so many events, of which so many are handled and so many more told. */
function queueOf(count: number, { handled = 0, told = 0 } = {}) {
  const queue = new EventQueue()
  const events = Array.from({ length: count }, () => pushTo(queue))
  for (let at = 0; at < handled + told; at += 1) queue.tellNext()
  queue.acknowledge(handled)
  return { events, queue }
}

function pushTo(queue: EventQueue, bytes = 0): ClientEvent {
  const event = new ClientEvent(Command.ON_MESSAGE, 0, Buffer.alloc(bytes))
  queue.push(event)
  return event
}

/** The same queue as one array and two places in it. */
class Model {
  readonly events: ClientEvent[] = []
  handled = 0
  told = 0
  readonly wereTold = new Set<ClientEvent>()

  get left(): ClientEvent[] {
    return this.events.slice(this.handled)
  }

  acknowledge(number: number): number {
    if (number < this.handled || number > this.handled + this.told) return 0
    const gone = this.events.slice(this.handled, number)
    this.told -= gone.length
    this.handled = number
    return gone.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}

type Step = ['push' | 'drop', bytes: number] | ['tell' | 'forget' | 'clear'] | ['acknowledge', offset: number]

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.tuple(fc.constant('push' as const), fc.nat(50)), weight: 4 },
  { arbitrary: fc.constant<Step>(['tell']), weight: 4 },
  // Of what is told, and somewhat before and behind it.
  { arbitrary: fc.tuple(fc.constant('acknowledge' as const), fc.integer({ max: 8, min: -4 })), weight: 3 },
  fc.constant<Step>(['forget']),
  fc.constant<Step>(['drop', 0]),
  { arbitrary: fc.constant<Step>(['clear']), weight: 1 },
)

function carryOut([what, value]: Step, queue: EventQueue, model: Model): void {
  switch (what) {
    case 'push':
      model.events.push(pushTo(queue, value))
      break
    case 'tell': {
      const next = model.left[model.told]
      if (next === undefined) return
      queue.tellNext()
      model.wereTold.add(next)
      model.told += 1
      break
    }
    case 'acknowledge': {
      const number = model.handled + value!
      if (number >= 0) expect(queue.acknowledge(number)).toBe(model.acknowledge(number))
      break
    }
    case 'forget':
      queue.forgetTold()
      model.told = 0
      break
    case 'drop':
      if (model.told > 0 || model.left.length === 0) return
      expect(queue.dropOldest()).toBe(model.events[model.handled])
      model.handled += 1
      break
    case 'clear':
      queue.clear()
      model.events.length = model.handled
      model.told = 0
  }
}

test('an event queue is an array with two places in it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new EventQueue()
      const model = new Model()
      for (const step of steps) {
        carryOut(step, queue, model)
        const { handled, left, told, wereTold } = model
        expect(queue.handledCount).toBe(handled)
        expect(queue.toldCount).toBe(told)
        expect(queue.isEmpty).toBe(left.length === 0)
        expect(queue.oldest).toBe(left[0])
        expect(queue.nextToTell).toBe(left[told])
        expect(queue.wasEverTold).toBe(handled > 0 || (left[0] !== undefined && wereTold.has(left[0])))
        const linked: ClientEvent[] = []
        for (let event = queue.oldest; event !== undefined; event = event.next) linked.push(event)
        expect(linked).toEqual(left)
        expect(left.map(({ wasTold }) => wasTold)).toEqual(left.map((event) => wereTold.has(event)))
      }
    }),
    { numRuns: 500 },
  )
})

describe('an acknowledgement', () => {
  test('is of all that was told up to its number, and says what they weighed', () => {
    const { events, queue } = queueOf(4, { told: 3 })
    expect(queue.acknowledge(2)).toBe(events[0]!.byteLength + events[1]!.byteLength)
    expect([queue.handledCount, queue.toldCount, queue.oldest]).toEqual([2, 1, events[2]])
  })

  test.each([
    ['nobody was told', 4],
    ['was acknowledged before', 1],
    ['is the one before the first', 0],
    ['lies half the circle of numbers ahead', 2 ** 31],
    ['lies just behind, seen from the other side of that circle', 2 ** 32 - 1],
  ])('of a number that %s changes nothing', (_what, number) => {
    const { queue } = queueOf(5, { handled: 2, told: 1 })
    expect(queue.acknowledge(number)).toBe(0)
    expect([queue.handledCount, queue.toldCount]).toEqual([2, 1])
  })

  test('counts by the low 32 bits of its number, which are all that travels', () => {
    const { queue } = queueOf(5, { handled: 2, told: 2 })
    queue.acknowledge(3 - 2 ** 32)
    expect([queue.handledCount, queue.toldCount]).toEqual([3, 1])
  })

  test('again of the same number changes nothing', () => {
    const { queue } = queueOf(5, { handled: 2, told: 1 })
    expect(queue.acknowledge(2)).toBe(0)
    expect([queue.handledCount, queue.toldCount]).toEqual([2, 1])
  })
})

test('a message weighs more than its bytes, so that many empty ones are not for nothing; any other event is taken to be long', () => {
  const weigh = (body: Uint8Array) => new ClientEvent(Command.ON_MESSAGE, 0, body).byteLength
  expect(weigh(Buffer.alloc(0))).toBeGreaterThan(0)
  expect(weigh(Buffer.alloc(1000)) - weigh(Buffer.alloc(0))).toBe(1000)
  expect(new ClientEvent(Command.ON_WEBSOCKET_CONNECT, 0, {}).byteLength).toBeGreaterThanOrEqual(1024)
})
