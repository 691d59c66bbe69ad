import { Command } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import { linkPeer, linkWorker } from './support/raw-peer.ts'
import { RecordedLog } from './support/recorded-log.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { kill, told } from './support/told.ts'

/** A gateway with a worker that has a message of a client unacknowledged, and another worker without clients. */
async function startTwo({ noWorkerTimeoutMs = 5_000, other = true } = {}) {
  const log = new RecordedLog()
  const gateway = await startGateway({ log, noWorkerTimeoutMs })
  const leaving = await linkWorker(gateway, 'leaving:0')
  const client = await connectClient(gateway)
  const id = await leaving.nextClient()
  leaving.acknowledge(id, 2)
  client.send('a')
  client.send('b')
  expect(await told(leaving, 2)).toEqual(['message a', 'message b'])
  return {
    backend: await linkPeer(gateway),
    client,
    gateway,
    id,
    leaving,
    log,
    other: other ? await linkWorker(gateway, 'staying:0') : leaving,
  }
}

describe('a worker that leaves', () => {
  test('is answered when everything was told that it is told, and is told nothing after that', async () => {
    const { backend, client, gateway, id, leaving, other } = await startTwo()
    for (let at = 0; at < 100; at += 1) client.send(String(at))
    await leaving.leave()
    const toldBefore = leaving.frames.size
    const newcomer = await connectClient(gateway)
    newcomer.send('hello')
    expect(await told(other, 4)).toEqual(['context 0', 'connect', 'handshake', 'message hello'])
    await backend.ask(Command.DESTROY, '', id)
    await leaving.settled()
    expect(leaving.frames.size).toBe(toldBefore)
  })

  test('keeps each client until the last event that it was told is acknowledged; then that moves, in order, its end included', async () => {
    const { backend, id, leaving, other } = await startTwo()
    await leaving.leave()
    await backend.ask(Command.DESTROY, '', id)
    leaving.acknowledge(id, 3)
    await leaving.settled()
    await other.settled()
    expect(other.frames.size).toBe(0)
    leaving.acknowledge(id, 4)
    expect(await told(other, 2)).toEqual(['context 4', 'close kicked'])
    await leaving.settled()
    expect(leaving.frames.size).toBe(0)
  })

  test('keeps nobody waiting for ever: what a client says meanwhile goes to the next one', async () => {
    const { client, id, leaving, other } = await startTwo()
    await leaving.leave()
    for (const message of ['c', 'd', 'e']) client.send(message)
    leaving.acknowledge(id, 4)
    expect(await told(other, 4)).toEqual(['context 4', 'message c', 'message d', 'message e'])
  })

  test('lets go at once of clients whose events are all acknowledged', async () => {
    const { id, leaving, other } = await startTwo()
    leaving.acknowledge(id, 4)
    await leaving.leave()
    expect(await told(other, 1)).toEqual(['context 4'])
  })

  test('has the end of a client to itself that it was told before', async () => {
    const { client, id, leaving, other } = await startTwo()
    client.close()
    expect(await told(leaving, 1)).toEqual(['close client'])
    await leaving.leave()
    leaving.acknowledge(id, 5)
    await leaving.settled()
    await other.settled()
    expect(other.frames.size).toBe(0)
  })

  test('may go then, and nothing is told again', async () => {
    const { client, gateway, id, leaving, log, other } = await startTwo()
    await leaving.leave()
    leaving.acknowledge(id, 4)
    await kill(leaving, log)
    client.send('c')
    expect(await told(other, 2)).toEqual(['context 4', 'message c'])
    expect(gateway.stats().redeliveredEvents).toBe(0)
  })

  test('and goes too early leaves what it has not acknowledged to the next one; that is nobody’s fault', async () => {
    const { gateway, id, leaving, log } = await startTwo({ other: false })
    leaving.acknowledge(id, 3)
    await leaving.leave()
    await kill(leaving, log)
    // As often as would be a reason to set it aside.
    for (let at = 0; at < 3; at += 1) {
      const next = await linkWorker(gateway, `leaving:${at}`)
      expect(await told(next, 2)).toEqual(['context 3', 'again message b'])
      await next.leave()
      await kill(next, log)
    }
    expect(await told(await linkWorker(gateway), 2)).toEqual(['context 3', 'again message b'])
    expect(log.of('set aside')).toEqual([])
  })
})

describe('the only worker, when it leaves', () => {
  test('keeps its clients until it has acknowledged, and they wait for the next one then', async () => {
    const { client, gateway, id, leaving } = await startTwo({ other: false })
    await leaving.leave()
    client.send('c')
    const late = await connectClient(gateway)
    leaving.acknowledge(id, 4)
    await leaving.settled()
    expect(leaving.frames.size).toBe(0)
    const next = await linkWorker(gateway, 'next:0')
    late.send('late')
    const frames = await told(next, 6)
    expect(frames.filter((frame) => frame.endsWith('4') || frame === 'message c')).toEqual(['context 4', 'message c'])
    expect(frames.filter((frame) => !(frame.endsWith('4') || frame === 'message c'))).toEqual([
      'context 0',
      'connect',
      'handshake',
      'message late',
    ])
  })

  test('has as long as it likes for what it was told, and its successor to start: no client is closed meanwhile', async () => {
    const { client, gateway, id, leaving } = await startTwo({ noWorkerTimeoutMs: 50, other: false })
    await leaving.leave()
    client.send('c')
    const newcomer = await connectClient(gateway)
    leaving.acknowledge(id, 4)
    // At another gateway somebody without any worker is closed, after that time.
    expect((await (await connectClient(await startGateway({ noWorkerTimeoutMs: 100 }))).closed).code).toBe(1013)
    leaving.link.send(Command.SEND_TO_ALL, 0, 1, '', 'still here')
    expect(await Promise.all([client.messages.next(), newcomer.messages.next()])).toEqual(['still here', 'still here'])
    const next = await linkWorker(gateway, 'next:0')
    expect(await told(next, 5)).toEqual(['context 0', 'connect', 'handshake', 'context 4', 'message c'])
  })

  test('and ends without a successor: its clients are closed, after the time for that', async () => {
    const { client, gateway, id, leaving, log } = await startTwo({ noWorkerTimeoutMs: 50, other: false })
    await leaving.leave()
    client.send('c')
    leaving.acknowledge(id, 4)
    await kill(leaving, log)
    expect((await client.closed).code).toBe(1013)
    const next = await linkWorker(gateway, 'next:0')
    expect(await told(next, 3)).toEqual(['context 4', 'message c', 'close no_worker'])
  })
})
