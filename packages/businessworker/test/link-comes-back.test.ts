import { AsyncResource } from 'node:async_hooks'
import { Command, msgpack } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { type Context, Gateway } from '../src/index.ts'
import { type Deferred, defer, linkToRawGateway } from './support.ts'

interface Call {
  context: Context
  done: Deferred
  message: string
  /** Runs a function as the handler would. */
  run<T>(fn: () => T): T
}

/** A worker whose handlers a test lets go on one by one, with one that runs while its link breaks and is back. */
async function startWithBreak() {
  const calls = new Inbox<Call>()
  const { gateway, process, ...rest } = await linkToRawGateway({
    onMessage: (_id, message, context) => {
      const done = defer()
      const run: Call['run'] = AsyncResource.bind((fn) => fn())
      calls.push({ context, done, message: `${context.redelivered ? 'again ' : ''}${message}`, run })
      return done.promise
    },
  })
  gateway.connect(1, { count: 1 })
  gateway.message(1, 'a')
  gateway.message(1, 'b')
  const first = await calls.next()
  gateway.link.destroy()
  const next = await process.links.next()
  next.introduce(1, { count: 1 }, 2)
  return { ...rest, calls, first, gateway: next, process }
}

test('an event that is delivered again begins when its first handler has settled, and what follows comes after it', async () => {
  const { calls, first, gateway } = await startWithBreak()
  gateway.message(1, 'a', 64)
  gateway.message(1, 'b', 64)
  gateway.introduce(2)
  gateway.message(2, 'other')
  const other = await calls.next()
  expect([first.message, other.message]).toEqual(['a', 'other'])
  await new Promise(setImmediate)
  expect(calls.size).toBe(0)
  first.done.resolve()
  const second = await calls.next()
  expect(second.message).toBe('again a')
  await new Promise(setImmediate)
  expect(calls.size).toBe(0)
  second.done.resolve()
  expect((await calls.next()).message).toBe('again b')
})

test('the same holds when the link breaks again meanwhile', async () => {
  const { calls, first, gateway, process } = await startWithBreak()
  gateway.message(1, 'a', 64)
  gateway.link.destroy()
  const third = await process.links.next()
  third.introduce(1, {}, 2)
  third.message(1, 'a', 64)
  third.introduce(2)
  third.message(2, 'other')
  expect((await calls.next()).message).toBe('other')
  expect(calls.size).toBe(0)
  first.done.resolve()
  expect((await calls.next()).message).toBe('again a')
  await new Promise(setImmediate)
  expect(calls.size).toBe(0)
})

test('a handler that times out makes room for the one that waits for it', async () => {
  const calls = new Inbox<string>()
  const { gateway, process } = await linkToRawGateway(
    {
      onMessage: (_id, message) => {
        calls.push(String(message))
        return message === 'stuck' ? new Promise(() => {}) : undefined
      },
    },
    { eventTimeoutMs: 200 },
  )
  gateway.connect(1)
  gateway.message(1, 'stuck')
  expect(await calls.next()).toBe('stuck')
  gateway.link.destroy()
  const next = await process.links.next()
  next.introduce(1, {}, 3)
  next.message(1, 'after')
  expect(await calls.next()).toBe('after')
})

test('a handler whose link has ended writes the session as any other process would, which its new link is told', async () => {
  const { calls, first, gateway } = await startWithBreak()
  await first.run(() => Gateway.setSession(first.context.clientId, { count: 2 }))
  expect(first.context.session).toEqual({ count: 2 })
  // Without the flag that asks for a confirmation: the copy on the new link awaits none.
  expect(await gateway.frames.next()).toMatchObject({ command: Command.SET_SESSION, connectionId: 1, flag: 0 })
  gateway.link.send(Command.SESSION_CHANGED, 1, 0, msgpack.encode({ count: 2 }))
  gateway.message(1, 'c')
  first.done.resolve()
  const second = await calls.next()
  expect([second.message, second.context.session]).toEqual(['c', { count: 2 }])
  second.done.resolve()
  gateway.link.send(Command.SESSION_CHANGED, 1, 0, msgpack.encode({ count: 3 }))
  gateway.message(1, 'd')
  const third = await calls.next()
  expect([third.message, third.context.session]).toEqual(['d', { count: 3 }])
})
