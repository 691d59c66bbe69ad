import { Command, createInstanceId } from '@gatewayworker/protocol'
import { RegisterServer } from '@gatewayworker/register'
import { expect, onTestFinished, test, vi } from 'vitest'
import { linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { told } from './support/told.ts'

const isolationTimeoutMs = 50

/** A gateway with a client that a worker serves. */
async function startServing(registerAddresses?: string[]) {
  const gateway = await startGateway({ isolationTimeoutMs, ...(registerAddresses && { registerAddresses }) })
  const instance = createInstanceId()
  const worker = await linkWorker(gateway, 'worker:0', { instance })
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.acknowledge(id, 2)
  await worker.settled()
  return { client, gateway, instance, worker }
}

const RETURN_MS = 10_000

/** One that has given its client up; from now on a test says what time it is. */
async function startIsolated() {
  const serving = await startServing()
  serving.worker.kill()
  expect(await serving.client.closed).toEqual({ code: 1001, reason: 'gateway is cut off' })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  return serving
}

test('a gateway that is cut off from workers and registers closes its clients, and is another process from then on', async () => {
  const { gateway, instance, worker } = await startIsolated()
  const same = await linkWorker(gateway, 'worker:0', { instance })
  expect(same.gatewayInstance).not.toBe(worker.gatewayInstance)
  // Of the end of the client that it had it is not told: it knows what to do, now that it hears of another process.
  vi.advanceTimersByTime(RETURN_MS)
  await same.settled()
  expect(same.frames.size).toBe(0)
})

test('other workers are told of the end if the one that had the client does not come back', async () => {
  const { gateway } = await startIsolated()
  const other = await linkWorker(gateway)
  vi.advanceTimersByTime(RETURN_MS - 1)
  await other.settled()
  expect(other.frames.size).toBe(0)
  vi.advanceTimersByTime(1)
  expect(await told(other, 2)).toEqual(['context 2', 'close gateway_lost'])
})

test('a gateway that sees a register, or whose workers left, keeps them', async () => {
  const register = new RegisterServer({ host: '127.0.0.1', port: 0 })
  const { host, port } = await register.start()
  onTestFinished(() => register.stop())
  const [registered, left, cutOff] = [
    await startServing([`${host}:${port}`]),
    await startServing(),
    await startServing(),
  ]
  await left.worker.leave()
  for (const { worker } of [registered, left, cutOff]) worker.kill()
  await cutOff.client.closed
  for (const { client, gateway } of [registered, left]) {
    const next = await linkWorker(gateway)
    client.send('is there')
    expect(String((await next.next(Command.ON_MESSAGE)).body)).toBe('is there')
  }
})
