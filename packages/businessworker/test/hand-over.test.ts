import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { Command } from '@gatewayworker/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Events, Timer } from '../src/index.ts'
import { resumeWorkerTimers } from '../src/timer.ts'
import { defer, linkToRawGateway } from './support.ts'

/** Until a condition holds that timers bring about. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await after(2)
}

const EVERY = 0.005

test.each([
  [
    'no onWorkerStop',
    {},
    ['onWorkerStart listens on a port that no onWorkerStop closes: a reload will find it in use'],
  ],
  ['an onWorkerStop', { onWorkerStop: () => {} }, []],
])(
  'a worker whose onWorkerStart listens, with %s, warns of what a reload would meet',
  async (_what, more, warnings) => {
    const { log, worker } = await linkToRawGateway({
      onWorkerStart: async () => {
        const server = createServer().listen(0, '127.0.0.1')
        onTestFinished(() => void server.close())
        await once(server, 'listening')
      },
      ...more,
    })
    expect(worker.warnings).toEqual(warnings)
    expect(log.of('listens on a port')).toHaveLength(warnings.length)
  },
)

describe('a worker that hands over', () => {
  test('without onWorkerStop serves on; its timers stop, but for those of its clients', async () => {
    const ticks = { chained: 0, client: 0, worker: 0 }
    const chain = () => {
      ticks.chained += 1
      Timer.add(EVERY, chain, [], false)
    }
    const messages: string[] = []
    const { gateway, worker } = await linkToRawGateway({
      onMessage: (_id, message) => {
        messages.push(String(message))
        if (message === 'first') Timer.add(EVERY, () => (ticks.client += 1))
      },
      onWorkerStart: () => {
        Timer.add(EVERY, () => (ticks.worker += 1))
        chain()
      },
    })
    onTestFinished(resumeWorkerTimers)
    gateway.introduce(1)
    gateway.message(1, 'first')
    await gateway.acknowledgements.next()
    await until(() => ticks.worker > 1 && ticks.chained > 1)
    await worker.handOver(1_000)
    const { chained, client, worker: own } = ticks
    gateway.message(1, 'second')
    await gateway.acknowledgements.next()
    await until(() => ticks.client > client + 5)
    expect([ticks.chained, ticks.worker, messages]).toEqual([chained, own, ['first', 'second']])
    expect(gateway.commands).not.toContain(Command.LEAVE)

    expect(await worker.takeBack()).toBe(worker)
    await until(() => ticks.worker > own && ticks.chained > chained)
  })

  test('waits until the calls of its timers have settled, and no longer than it may', async () => {
    const gate = defer()
    const begun = defer()
    const { worker } = await linkToRawGateway({
      onMessage: () => {},
      onWorkerStart: () => {
        Timer.add(
          EVERY,
          () => {
            begun.resolve()
            return gate.promise
          },
          [],
          false,
        )
      },
    })
    onTestFinished(resumeWorkerTimers)
    await begun.promise
    await expect(worker.handOver(20)).rejects.toThrow("a timer's function has not settled within 20 ms")
    const handedOver = worker.handOver(60_000)
    gate.resolve()
    await handedOver
  })

  test('with onWorkerStop takes no more, runs it after the last handler, and stays linked', async () => {
    const gate = defer()
    const order: string[] = []
    const { gateway, worker } = await linkToRawGateway({
      onMessage: async () => {
        order.push('handler begins')
        await gate.promise
        order.push('handler settles')
      },
      onWorkerStop: () => void order.push('stop'),
    })
    gateway.letsGo = false
    gateway.introduce(1)
    gateway.message(1, 'm')
    const handedOver = worker.handOver(5_000)
    const leave = await gateway.frames.next()
    expect(leave.command).toBe(Command.LEAVE)
    gateway.link.answer(leave.id, null)
    gate.resolve()
    await handedOver
    expect(order).toEqual(['handler begins', 'handler settles', 'stop'])
    expect(await gateway.acknowledgements.next()).toEqual([[1, 1]])
    expect(gateway.link.isClosed).toBe(false)
    await worker.stop()
    expect(order.filter((what) => what === 'stop')).toHaveLength(1)
  })

  test('and takes back what onWorkerStop ended runs onWorkerStart again, links anew, and then ends the old links', async () => {
    const order: string[] = []
    const events: Events = {
      onMessage: () => void order.push('message'),
      onWorkerStart: () => {
        Timer.add(EVERY, () => order.push('tick'))
        order.push('start')
      },
      onWorkerStop: () => void order.push('stop'),
    }
    const { gateway, process, worker } = await linkToRawGateway(events)
    await until(() => order.includes('tick'))
    await worker.handOver(1_000)
    const before = order.length
    const again = await worker.takeBack()
    onTestFinished(() => again.stop())
    const next = await process.links.next()
    await until(() => gateway.link.isClosed && order.slice(before).includes('tick'))
    next.introduce(1)
    next.message(1, 'm')
    await next.acknowledgements.next()
    expect(order.filter((what) => what !== 'tick')).toEqual(['start', 'stop', 'start', 'message'])
    expect(next.link.isClosed).toBe(false)
  })
})
