import { describe, expect, test, vi } from 'vitest'
import { Context, type EventFacts } from '../src/context.ts'

const facts = {
  clientId: '7f0000010b5400000001',
  gatewayAddress: '127.0.0.1',
  gatewayPort: 7272,
  remoteAddress: '10.0.0.1',
  remotePort: 50_000,
}
const event: EventFacts = { closeReason: undefined, number: 3, redelivered: false }

describe('a context', () => {
  test('tells where the client is and comes from', () => {
    expect(new Context(facts, event, () => ({}))).toMatchObject(facts)
  })

  test('tells of the event: its name, which is its client and its place, whether it comes again, and why a client is gone', () => {
    expect(new Context(facts, event, () => ({}))).toMatchObject({
      closeReason: undefined,
      messageId: '7f0000010b5400000001-3',
      redelivered: false,
    })
    const last: EventFacts = { closeReason: 'slow', number: 4, redelivered: true }
    expect(new Context(facts, last, () => ({}))).toMatchObject({
      closeReason: 'slow',
      messageId: '7f0000010b5400000001-4',
      redelivered: true,
    })
  })

  test('reads the session when it is looked at, once', () => {
    const readSession = vi.fn(() => ({ a: 1 }))
    const context = new Context(facts, event, readSession)
    expect(context.touchedSession).toBeUndefined()
    expect(readSession).not.toHaveBeenCalled()
    expect(context.session).toBe(context.session)
    expect(context.touchedSession).toEqual({ a: 1 })
    expect(readSession).toHaveBeenCalledTimes(1)
  })

  test('takes another session, and still reads what it was', () => {
    const readSession = vi.fn(() => ({ a: 1 }))
    const context = new Context(facts, event, readSession)
    context.session = { b: 2 }
    expect(context.session).toEqual({ b: 2 })
    expect(readSession).toHaveBeenCalledTimes(1)
  })

  test.each([null, undefined, [], 'text', 5])('does not take %j for a session', (value) => {
    const context = new Context(facts, event, () => ({ a: 1 }))
    expect(() => {
      context.session = value as never
    }).toThrow(expect.objectContaining({ code: 'BAD_SESSION' }))
    expect(context.session).toEqual({ a: 1 })
  })
})
