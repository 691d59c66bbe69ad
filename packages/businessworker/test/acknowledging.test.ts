import { Command, encodeClientId, Flag, gatewayKey } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { Inbox } from '../../gateway/test/support/inbox.ts'
import { startRegister } from '../../gateway-client/test/start-cluster.ts'
import { type Context, Gateway } from '../src/index.ts'
import { defer, linkToRawGateway, type RawGateway, startRawGateway, startWorker } from './support.ts'

const MIB = 1024 * 1024

function breakDown(): never {
  throw new Error('broken')
}

describe('an event is acknowledged', () => {
  test('when its handler is through: all of one turn in one frame, each client once', async () => {
    const { gateway } = await linkToRawGateway({ onMessage: () => {} })
    for (const id of [1, 2, 3]) {
      gateway.connect(id)
      gateway.message(id, 'm')
    }
    gateway.close(2)
    expect(await gateway.acknowledgements.next()).toEqual([
      [1, 3],
      [2, 4],
      [3, 3],
    ])
    gateway.connect(4)
    expect(await gateway.acknowledgements.next()).toEqual([[4, 2]])
  })

  test('when its handler has settled, and not those behind it', async () => {
    const gates = [defer(), defer()]
    const { gateway } = await linkToRawGateway({
      onMessage: async (_id, message) => {
        await Gateway.sendToCurrentClient('begun')
        await gates[Number(message)]!.promise
      },
    })
    gateway.connect(1)
    expect(await gateway.acknowledgements.next()).toEqual([[1, 2]])
    gateway.message(1, '0')
    gateway.message(1, '1')
    await gateway.frames.next()
    // Another client's event, which comes later, is handled meanwhile.
    gateway.connect(2)
    expect(await gateway.acknowledgements.next()).toEqual([[2, 2]])
    gates[0]!.resolve()
    expect(await gateway.acknowledgements.next()).toEqual([[1, 3]])
    await gateway.frames.next()
    gateway.connect(3)
    expect(await gateway.acknowledgements.next()).toEqual([[3, 2]])
    gates[1]!.resolve()
    expect(await gateway.acknowledgements.next()).toEqual([[1, 4]])
  })

  test.each([
    ['throws', breakDown],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['is not there', undefined],
  ])('also if the handler %s', async (_what, onMessage) => {
    const { gateway } = await linkToRawGateway({ onConnect: () => {}, onMessage })
    gateway.introduce(1)
    gateway.message(1, 'm')
    expect(await gateway.acknowledgements.next()).toEqual([[1, 1]])
  })

  test('also if it is not handled, since its client was refused', async () => {
    const { gateway } = await linkToRawGateway({ onWebSocketConnect: breakDown, onMessage: () => {} })
    gateway.connect(1)
    gateway.message(1, 'unheard')
    expect(await gateway.acknowledgements.next()).toEqual([[1, 3]])
  })

  test('by its place in the client’s life, whoever had the client before', async () => {
    const { gateway } = await linkToRawGateway({ onMessage: () => {} })
    gateway.introduce(1, {}, 41)
    gateway.message(1, 'm')
    expect(await gateway.acknowledgements.next()).toEqual([[1, 42]])
    // The 2^32nd has the number 0, as far as numbers go.
    gateway.introduce(2, {}, 2 ** 32 - 2)
    for (const text of ['a', 'b', 'c']) gateway.message(2, text)
    expect(await gateway.acknowledgements.next()).toEqual([[2, 1]])
  })

  test('after what its handler has sent and stored', async () => {
    const { gateway } = await linkToRawGateway({
      onMessage: async (_id, _message, { session }) => {
        session.a = 1
        await Gateway.sendToCurrentClient('sent')
      },
    })
    gateway.introduce(1)
    gateway.message(1, 'm')
    await gateway.acknowledgements.next()
    expect(gateway.commands).toEqual([Command.SEND_TO_ONE, Command.PATCH_SESSION, Command.ACKNOWLEDGE])
  })
})

describe('what a handler has sent to a gateway that takes nothing', () => {
  const PINGS = 5
  /** How long an acknowledgement may be held back for a gateway that takes nothing. */
  const HELD_MS = 500

  /** A worker with clients of two gateways, and how one of them sends more to the other one, which does not read then, than fits under way. */
  async function startStuck() {
    const gate = defer()
    const register = await startRegister()
    const processes = [await startRawGateway(register.address), await startRawGateway(register.address)]
    const { worker } = await startWorker(
      register.address,
      {
        onMessage: async (_id, message) => {
          if (message === 'ping') return void Gateway.sendToCurrentClient('pong')
          await gate.promise
          for (let at = 0; at < 8; at += 1) void Gateway.sendToClient(String(message), 'x'.repeat(4 * MIB))
        },
      },
      // So that the worker itself does not stop reading.
      { sendToGatewayBufferSizeBytes: 1024 * MIB },
    )
    const [gateway, stuck] = (await Promise.all(processes.map(({ links }) => links.next()))) as [RawGateway, RawGateway]
    for (const id of [1, 2]) gateway.introduce(id)
    gateway.message(1, encodeClientId(gatewayKey(processes[1]!.address), 1))
    const send = async () => {
      const begin = performance.now()
      stuck.link.pause()
      gate.resolve()
      for (let at = 0; at < PINGS; at += 1) {
        gateway.message(2, 'ping')
        expect(String((await gateway.frames.next()).body)).toBe('pong')
      }
      return { begin, isEarly: performance.now() - begin < HELD_MS }
    }
    return { gateway, send, stuck, worker }
  }

  test('keeps the acknowledgement of the event waiting until that is written', async () => {
    const { gateway, send, stuck } = await startStuck()
    const { isEarly } = await send()
    if (isEarly) expect(gateway.acknowledgements.size).toBe(0)
    stuck.link.resume()
    const pairs: [number, number][] = []
    while (!pairs.some(([id, number]) => id === 2 && number === PINGS)) {
      pairs.push(...(await gateway.acknowledgements.next()))
    }
    expect(pairs).toContainEqual([1, 1])
    for (const { command } of await stuck.frames.take(8)) expect(command).toBe(Command.SEND_TO_ONE)
  })

  test('keeps it waiting for half a second; after that no acknowledgement waits for that gateway', async () => {
    const { gateway, send } = await startStuck()
    const { begin } = await send()
    expect(await gateway.acknowledgements.next()).toContainEqual([1, 1])
    expect(performance.now() - begin).toBeGreaterThan(HELD_MS - 10)
    const then = performance.now()
    for (let at = 0; at < 20; at += 1) {
      gateway.message(2, 'ping')
      await gateway.acknowledgements.next()
    }
    expect(performance.now() - then).toBeLessThan(20 * HELD_MS)
  })

  test('keeps it waiting no longer when that gateway is gone', async () => {
    const { gateway, send, stuck } = await startStuck()
    await send()
    stuck.link.destroy()
    expect(await gateway.acknowledgements.next()).toContainEqual([1, 1])
  })

  test('keeps it waiting also while the worker stops', async () => {
    const { gateway, send, stuck, worker } = await startStuck()
    const stopped = worker.stop()
    // Both let it go: what they are asked next comes behind that.
    for (const link of [gateway, stuck]) {
      while (!link.commands.includes(Command.LEAVE)) await new Promise(setImmediate)
      link.introduce(3)
      link.message(3, 'ping')
      expect(String((await link.frames.next()).body)).toBe('pong')
      await link.acknowledgements.next()
    }
    const { isEarly } = await send()
    if (isEarly) expect(gateway.acknowledgements.size).toBe(0)
    stuck.link.resume()
    expect(await gateway.acknowledgements.next()).toContainEqual([1, 1])
    await stopped
  })
})

describe('a handler is told of its event', () => {
  const tell = ({ closeReason, messageId, redelivered }: Context) => [messageId.slice(20), redelivered, closeReason]

  test('what its name is, whether it comes again, and why a client is gone', async () => {
    const seen = new Inbox<unknown[]>()
    const { gateway } = await linkToRawGateway({
      onConnect: (_id, context) => seen.push(['connect', ...tell(context)]),
      onWebSocketConnect: (_id, _request, context) => seen.push(['handshake', ...tell(context)]),
      onMessage: (_id, _message, context) => seen.push(['message', ...tell(context)]),
      onClose: (_id, context) => seen.push(['close', ...tell(context)]),
    })
    gateway.connect(1)
    gateway.message(1, 'a')
    gateway.message(1, 'b', Flag.REDELIVERED)
    gateway.close(1, 'kicked')
    expect(await seen.take(5)).toEqual([
      ['connect', '-1', false, undefined],
      ['handshake', '-2', false, undefined],
      ['message', '-3', false, undefined],
      ['message', '-4', true, undefined],
      ['close', '-5', false, 'kicked'],
    ])
  })

  test('also where events wait for one another, and for those of a client that somebody else had', async () => {
    const seen = new Inbox<unknown[]>()
    const { gateway } = await linkToRawGateway({
      onMessage: async (id, _message, context) => {
        expect(context.messageId).toBe(`${id}${tell(context)[0]}`)
        await new Promise(setImmediate)
        seen.push(tell(context))
      },
      onClose: (_id, context) => seen.push(tell(context)),
    })
    gateway.introduce(1, {}, 7)
    gateway.message(1, 'a', Flag.REDELIVERED)
    gateway.message(1, 'b')
    gateway.link.send(Command.ON_CLOSE, 1, Flag.SCALAR)
    expect(await seen.take(3)).toEqual([
      ['-8', true, undefined],
      ['-9', false, undefined],
      // As PHP's gateways tell it.
      ['-10', false, undefined],
    ])
  })
})
