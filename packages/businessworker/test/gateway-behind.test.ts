import { encodeClientId, gatewayKey } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { startRegister } from '../../gateway-client/test/start-cluster.ts'
import { Gateway } from '../src/index.ts'
import { linkToRawGateway, type RawGateway, startRawGateway, startWorker } from './support.ts'

const MIB = 1024 * 1024
const BUFFER_SIZE_BYTES = 1_000_000
const EVENTS = 400
const BODY = 'x'.repeat(50_000)

test.each(['awaits', 'does not await'])(
  'a worker that %s its pushes serves the clients of one gateway while another takes nothing',
  async (how) => {
    const register = await startRegister()
    const processes = [await startRawGateway(register.address), await startRawGateway(register.address)]
    const outcomes = new Map<string, number>()
    const note = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    const { worker } = await startWorker(
      register.address,
      {
        onMessage: async (_id, message) => {
          const sent = Gateway.sendToAll(`${message} ${BODY}`).then(
            () => note('sent'),
            ({ code, missing }) => note(`${code} ${missing}`),
          )
          if (how === 'awaits') await sent
        },
      },
      { sendToGatewayBufferSizeBytes: BUFFER_SIZE_BYTES },
    )
    const [gateway, stuck] = (await Promise.all(processes.map(({ links }) => links.next()))) as [RawGateway, RawGateway]
    stuck.link.pause()
    gateway.introduce(1)
    const pushed: string[] = []
    let handled = 0
    for (let at = 0; at < EVENTS; at += 1) {
      gateway.message(1, String(at))
      pushed.push(String((await gateway.frames.next()).body.subarray(0, 10)).split(' ')[0]!)
      // Some megabytes wait with the kernel, one each on the link and for it.
      expect(worker.stats().bufferedBytes).toBeLessThan(2 * BUFFER_SIZE_BYTES + 3 * BODY.length)
    }
    while (handled < EVENTS) for (const [, number] of await gateway.acknowledgements.next()) handled = number
    expect(pushed).toEqual(Array.from({ length: EVENTS }, (_, at) => String(at)))
    await expect.poll(() => [...outcomes.values()].reduce((sum, count) => sum + count, 0)).toBe(EVENTS)
    expect([...outcomes.keys()].sort()).toEqual([`GATEWAY_UNAVAILABLE ${processes[1]!.address}`, 'sent'])
  },
)

test('a receipt names the gateway that takes nothing, within a second', async () => {
  const register = await startRegister()
  const process = await startRawGateway(register.address)
  await startWorker(register.address, { onMessage: () => {} }, { sendToGatewayBufferSizeBytes: BUFFER_SIZE_BYTES })
  const { link } = await process.links.next()
  link.pause()
  const clientId = encodeClientId(gatewayKey(process.address), 1)
  // More than the kernel and the link hold.
  for (let at = 0; at < 500; at += 1) void Gateway.sendToClient(clientId, BODY).catch(() => {})
  const begin = performance.now()
  const receipt = await Gateway.sendToClient(clientId, 'm', { receipt: true })
  expect(receipt).toEqual({ delivered: 0, slow: 0, unanswered: [process.address] })
  expect(performance.now() - begin).toBeLessThan(2_500) // the deadline of questions is twice as long
})

test('a worker has stopped when what onWorkerStop sent is written', async () => {
  const { gateway, process, worker } = await linkToRawGateway({
    onMessage: () => {},
    onWorkerStop: () => {
      // More than the kernel takes at once.
      const clientId = encodeClientId(gatewayKey(process.address), 1)
      for (let at = 0; at < 9; at += 1) void Gateway.sendToClient(clientId, `${at} ${'x'.repeat(MIB)}`)
    },
  })
  await worker.stop()
  expect(worker.stats().bufferedBytes).toBe(0)
  const frames = await gateway.frames.take(9)
  expect(frames.map(({ body }) => String(body.subarray(0, 1)))).toEqual(
    Array.from({ length: 9 }, (_, at) => String(at)),
  )
})

test('what was sent to a gateway that was away leaves before what its first event makes a handler send', async () => {
  const register = await startRegister()
  const process = await startRawGateway(register.address, {
    // In one chunk with the HELLO.
    onLink: (gateway) => {
      gateway.introduce(1)
      gateway.message(1, 'the first event')
    },
  })
  const { worker } = await startWorker(register.address, {
    onMessage: (id) => void Gateway.sendToClient(id, 'the answer'),
  })
  const first = await process.links.next()
  await first.frames.next()
  first.link.destroy()
  while (worker.problems().length === 0) await new Promise(setImmediate)
  const clientId = encodeClientId(gatewayKey(process.address), 1)
  const sent = ['one', 'two', 'three'].map((text) => Gateway.sendToClient(clientId, text))
  const asked = Gateway.isOnline(clientId)
  const gateway = await process.links.next()
  const frames = await gateway.frames.take(5)
  expect(frames.map(({ body, id }) => (id === 0 ? String(body) : 'a question'))).toEqual([
    'one',
    'two',
    'three',
    'a question',
    'the answer',
  ])
  gateway.link.answer(frames[3]!.id, 1)
  await Promise.all(sent)
  expect(await asked).toBe(true)
})
