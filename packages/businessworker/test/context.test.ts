import { describe, expect, test, vi } from 'vitest'
import { Context } from '../src/context.ts'

const facts = {
  clientId: '7f0000010b5400000001',
  gatewayAddress: '127.0.0.1',
  gatewayPort: 7272,
  remoteAddress: '10.0.0.1',
  remotePort: 50_000,
}

describe('a context', () => {
  test('tells where the client is and comes from', () => {
    expect(new Context(facts, () => ({}))).toMatchObject(facts)
  })

  test('reads the session when it is looked at, once', () => {
    const readSession = vi.fn(() => ({ a: 1 }))
    const context = new Context(facts, readSession)
    expect(context.touchedSession).toBeUndefined()
    expect(readSession).not.toHaveBeenCalled()
    expect(context.session).toBe(context.session)
    expect(context.touchedSession).toEqual({ a: 1 })
    expect(readSession).toHaveBeenCalledTimes(1)
  })

  test('takes another session, and still reads what it was', () => {
    const readSession = vi.fn(() => ({ a: 1 }))
    const context = new Context(facts, readSession)
    context.session = { b: 2 }
    expect(context.session).toEqual({ b: 2 })
    expect(readSession).toHaveBeenCalledTimes(1)
  })

  test.each([null, undefined, [], 'text', 5])('does not take %j for a session', (value) => {
    const context = new Context(facts, () => ({ a: 1 }))
    expect(() => {
      context.session = value as never
    }).toThrow(expect.objectContaining({ code: 'BAD_SESSION' }))
    expect(context.session).toEqual({ a: 1 })
  })
})
