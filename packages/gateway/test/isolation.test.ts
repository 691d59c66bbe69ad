import { Command } from '@gatewayworker/protocol'
import { RegisterServer } from '@gatewayworker/register'
import { expect, onTestFinished, test } from 'vitest'
import { linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'
import { told } from './support/told.ts'

const isolationTimeoutMs = 50

/** A gateway with a client that a worker serves. */
async function startServing(registerAddresses?: string[]) {
  const gateway = await startGateway({ isolationTimeoutMs, ...(registerAddresses && { registerAddresses }) })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway)
  const id = await worker.nextClient()
  worker.acknowledge(id, 2)
  await worker.settled()
  return { client, gateway, worker }
}

test('a gateway that is cut off from workers and registers gives its clients up, and is another process from then on', async () => {
  const { client, gateway, worker } = await startServing()
  worker.kill()
  client.send('for nobody')
  expect(await client.closed).toEqual({ code: 1001, reason: 'gateway is cut off' })

  const next = await linkWorker(gateway)
  expect(next.gatewayInstance).not.toBe(worker.gatewayInstance)
  await connectClient(gateway)
  // Of the first one it hears nothing: its end was for the worker that had it.
  expect(await told(next, 2)).toEqual(['context 0', 'connect'])
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
