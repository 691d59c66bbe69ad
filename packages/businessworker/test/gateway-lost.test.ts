import { describe, expect, test } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { whenListed } from '../../gateway-client/test/start-cluster.ts'
import type { Context, Events } from '../src/index.ts'
import { defer, linkToRawGateway, type RawGateway, startRawGateway } from './support.ts'

/** What became of clients: which one, why, and with what session. */
type End = [client: string, reason: string | undefined, session: object]

function watchEnds(): { ends: Inbox<End>; onClose: NonNullable<Events['onClose']> } {
  const ends = new Inbox<End>()
  const onClose = (clientId: string, { closeReason, session }: Context) =>
    ends.push([String(Number.parseInt(clientId.slice(12), 16)), closeReason, structuredClone(session)])
  return { ends, onClose }
}

/** A client comes and goes: what the gateway said before it has all been handled by then. */
async function pass(gateway: RawGateway, ends: Inbox<End>, id: number): Promise<void> {
  gateway.introduce(id)
  gateway.close(id)
  expect(await ends.next()).toEqual([String(id), 'client', {}])
}

describe('a gateway whose process is another one when it is linked again', () => {
  test('has lost its clients: each has an onClose, with its last session and as its next event', async () => {
    const { ends, onClose } = watchEnds()
    const messageIds: string[] = []
    const { gateway, log, process, register } = await linkToRawGateway({
      onMessage: (_id, message, { session }) => {
        session.last = message
      },
      onClose: (id, context) => {
        messageIds.push(context.messageId.slice(20))
        expect(context.redelivered).toBe(false)
        return onClose(id, context)
      },
    })
    gateway.introduce(1, { name: 'one' }, 7)
    gateway.message(1, 'hello')
    gateway.introduce(2, { name: 'two' })
    gateway.introduce(3)
    gateway.close(3)
    await gateway.acknowledgements.next()
    expect(await ends.next()).toEqual(['3', 'client', {}])
    await process.kill()
    const next = await startRawGateway(register.address, { port: Number(process.address.split(':')[1]) })
    expect(await ends.take(2)).toEqual([
      ['1', 'gateway_lost', { last: 'hello', name: 'one' }],
      ['2', 'gateway_lost', { name: 'two' }],
    ])
    expect(messageIds).toEqual(['-1', '-9', '-1'])
    expect(log.of('gone for good')).toMatchObject([
      { details: { clients: 2, gateway: process.address }, level: 'warn' },
    ])
    // Nobody is told twice, and the new process is not told of it.
    const linked = await next.links.next()
    await pass(linked, ends, 1)
    expect(await linked.acknowledgements.next()).toEqual([[1, 1]])
  })

  test('what its clients had waiting is handled before', async () => {
    const gates = { a: defer(), b: defer() }
    const seen = new Inbox<string>()
    const { gateway, process, register } = await linkToRawGateway({
      onMessage: async (_id, message) => {
        seen.push(String(message))
        await gates[message as 'a' | 'b'].promise
      },
      onClose: (_id, { closeReason }) => seen.push(String(closeReason)),
    })
    gateway.introduce(1)
    gateway.message(1, 'a')
    gateway.message(1, 'b')
    expect(await seen.next()).toBe('a')
    await process.kill()
    await startRawGateway(register.address, { port: Number(process.address.split(':')[1]) }).then(({ links }) =>
      links.next(),
    )
    gates.a.resolve()
    expect(await seen.next()).toBe('b')
    await new Promise(setImmediate)
    expect(seen.size).toBe(0)
    gates.b.resolve()
    expect(await seen.next()).toBe('gateway_lost')
  })

  test.each([
    ['runs', 0],
    ['waits behind another handler', 1],
  ])('a client whose end had come, and %s, has no other one', async (_what, messages) => {
    const { ends, onClose } = watchEnds()
    const gate = defer()
    const begun = defer()
    const wait = () => {
      begun.resolve()
      return gate.promise
    }
    const { gateway, process, register } = await linkToRawGateway({
      onMessage: wait,
      onClose: async (id, context) => {
        await wait()
        await onClose(id, context)
      },
    })
    gateway.introduce(1)
    for (let at = 0; at < messages; at += 1) gateway.message(1, 'm')
    gateway.close(1, 'kicked')
    await begun.promise
    await process.kill()
    const next = await startRawGateway(register.address, { port: Number(process.address.split(':')[1]) })
    const linked = await next.links.next()
    gate.resolve()
    expect(await ends.next()).toEqual(['1', 'kicked', {}])
    await pass(linked, ends, 2)
  })
})

describe('a gateway that was cut off and is the same when it is linked again', () => {
  test('has its clients still: none has an onClose, and what waited is left to whoever serves them now', async () => {
    const { ends, onClose } = watchEnds()
    const gate = defer()
    const seen = new Inbox<string>()
    const { gateway, process } = await linkToRawGateway({
      onMessage: async (_id, message) => {
        seen.push(String(message))
        if (message === 'a') await gate.promise
      },
      onClose,
    })
    gateway.introduce(1)
    gateway.introduce(2)
    gateway.message(1, 'a')
    gateway.message(1, 'b')
    expect(await seen.next()).toBe('a')
    gateway.link.destroy()
    const again = await process.links.next()
    gate.resolve()
    // We serve one of them again, from what was acknowledged on.
    again.introduce(2)
    again.message(2, 'c')
    expect(await seen.next()).toBe('c')
    await pass(again, ends, 3)
    again.close(2)
    expect(await ends.next()).toEqual(['2', 'client', {}])
    await again.link.close()
    expect([ends.size, seen.size]).toEqual([0, 0])
  })

  test('begins no handler of what waited before it is there again', async () => {
    const gate = defer()
    const seen = new Inbox<string>()
    const { gateway, log, process } = await linkToRawGateway({
      onMessage: async (_id, message) => {
        seen.push(String(message))
        await gate.promise
      },
    })
    gateway.introduce(1)
    gateway.message(1, 'a')
    gateway.message(1, 'b')
    expect(await seen.next()).toBe('a')
    gateway.link.destroy()
    await log.next('a gateway has ended the link')
    gate.resolve()
    const again = await process.links.next()
    again.introduce(2)
    again.message(2, 'c')
    expect(await seen.next()).toBe('c')
    expect(seen.size).toBe(0)
  })
})

describe('a gateway that does not come back', () => {
  test('has lost its clients when the register has not known it for a while', async () => {
    const { ends, onClose } = watchEnds()
    const { gateway, process } = await linkToRawGateway({ onClose }, { gatewayLostTimeoutMs: 0 })
    gateway.introduce(1, { a: 1 })
    await pass(gateway, ends, 2)
    await process.kill()
    expect(await ends.next()).toEqual(['1', 'gateway_lost', { a: 1 }])
  })

  test('has lost them at once for a worker that stops, if the register does not know it', async () => {
    const { ends, onClose } = watchEnds()
    const stop: number[] = []
    const { gateway, log, process, register, worker } = await linkToRawGateway({
      onClose: async (id, context) => {
        await new Promise(setImmediate)
        await onClose(id, context)
      },
      onWorkerStop: () => void stop.push(ends.size),
    })
    gateway.introduce(1, { a: 1 })
    await pass(gateway, ends, 2)
    await process.kill()
    await log.next('a gateway has ended the link')
    await whenListed(register.address, 0)
    await worker.stop()
    expect(stop).toEqual([1])
    expect(await ends.next()).toEqual(['1', 'gateway_lost', { a: 1 }])
  })

  test('has them still, as far as a worker that stops can tell, if the register knows it', async () => {
    const { ends, onClose } = watchEnds()
    const { gateway, log, worker } = await linkToRawGateway({ onClose })
    gateway.introduce(1, { a: 1 })
    await pass(gateway, ends, 2)
    gateway.link.destroy()
    await log.next('a gateway has ended the link')
    await worker.stop()
    expect(ends.size).toBe(0)
  })
})
