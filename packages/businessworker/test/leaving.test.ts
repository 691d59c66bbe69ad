import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Command } from '@gatewayworker/protocol'
import { expect, test } from 'vitest'
import { startRegister, whenListed } from '../../gateway-client/test/start-cluster.ts'
import { Gateway } from '../src/index.ts'
import { defer, linkToRawGateway, startRawGateway, startWorker } from './support.ts'

test('a worker that stops asks every gateway to let it go', async () => {
  const register = await startRegister()
  const processes = [await startRawGateway(register.address), await startRawGateway(register.address)]
  const { worker } = await startWorker(register.address, { onMessage: () => {} })
  const gateways = await Promise.all(processes.map(({ links }) => links.next()))
  await worker.stop()
  for (const { commands } of gateways) expect(commands).toEqual([Command.LEAVE])
})

test('what comes before the answer is handled, stored and acknowledged; then onWorkerStop runs, then the link ends', async () => {
  const gate = defer()
  const seen: string[] = []
  const { gateway, worker } = await linkToRawGateway({
    onMessage: async (_id, message, { session }) => {
      await gate.promise
      session.last = message
      seen.push(String(message))
    },
    onWorkerStop: async () => {
      seen.push('stop')
      await Gateway.sendToAll('stop')
    },
  })
  gateway.letsGo = false
  gateway.introduce(1)
  gateway.message(1, 'before')
  const stopped = worker.stop()
  const leave = await gateway.frames.next()
  expect(leave.command).toBe(Command.LEAVE)
  gateway.message(1, 'on the way')
  gateway.introduce(2)
  gateway.message(2, 'new')
  gateway.link.answer(leave.id, null)
  gate.resolve()
  await stopped
  expect(seen.sort()).toEqual(['before', 'new', 'on the way', 'stop'])
  const patch = Command.PATCH_SESSION
  const acknowledge = Command.ACKNOWLEDGE
  await gateway.frames.take(4)
  const said = gateway.commands.slice(1)
  expect(said.at(-1)).toBe(Command.SEND_TO_ALL)
  expect(said.slice(0, -1).filter((command) => command === patch)).toHaveLength(3)
  expect(said.at(-2)).toBe(acknowledge)
  const pairs: [number, number][] = []
  while (gateway.acknowledgements.size > 0) pairs.push(...(await gateway.acknowledgements.next()))
  expect(pairs).toContainEqual([1, 2])
  expect(pairs).toContainEqual([2, 1])
})

test('nothing that comes after the answer is asked for, and a gateway that does not answer is given up', async () => {
  const { gateway, log, worker } = await linkToRawGateway({ onMessage: () => {} })
  gateway.letsGo = false
  await worker.stop()
  expect(gateway.commands).toEqual([Command.LEAVE])
  expect(log.of('did not let go')).toMatchObject([{ details: { err: { code: 'QUESTION_TIMED_OUT' } } }])
})

test('a gateway that is gone before it has answered does not hold up the stop', async () => {
  const stop = defer()
  const { gateway, log, worker } = await linkToRawGateway({ onWorkerStop: () => stop.resolve() })
  gateway.letsGo = false
  const stopped = worker.stop()
  await gateway.frames.next()
  gateway.link.destroy()
  await stopped
  expect(log.of('did not let go')).toMatchObject([{ details: { err: { code: 'LINK_CLOSED' } } }])
})

test('of a gateway that is gone for good meanwhile, the clients have an onClose that it has not handed to others', async () => {
  const gate = defer()
  const begun = defer()
  const closed: string[] = []
  const register = await startRegister()
  const lost = await startRawGateway(register.address)
  const slow = await startRawGateway(register.address)
  const { log, worker } = await startWorker(register.address, {
    onMessage: () => {
      begun.resolve()
      return gate.promise
    },
    onClose: (clientId, { closeReason }) => void closed.push(`${clientId.slice(-1)} ${closeReason}`),
  })
  const [gateway, other] = [await lost.links.next(), await slow.links.next()]
  gateway.introduce(1)
  gateway.introduce(2)
  gateway.message(2, 'm')
  await begun.promise
  gateway.letsGo = false
  other.letsGo = false
  const stopped = worker.stop()
  const leave = await other.frames.next()
  gateway.link.answer((await gateway.frames.next()).id, null)
  gateway.link.send(Command.ON_CONNECT, 1)
  expect(await gateway.acknowledgements.next()).toEqual([[1, 1]]) // so the answer before it was heard
  await lost.kill()
  await log.next('a gateway has ended the link')
  await whenListed(register.address, 1)
  other.link.answer(leave.id, null)
  gate.resolve()
  await stopped
  expect(closed).toEqual(['2 gateway_lost'])
})

test('a gateway that is gone while a handler runs does not keep the process alive when that has settled', async () => {
  const script = fileURLToPath(new URL('fixtures/lost-while-stopping.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 10_000 })
  expect(stdout).toBe('stopped\n')
})
