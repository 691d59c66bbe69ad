import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Command } from '@gatewayworker/protocol'
import { expect, onTestFinished, test } from 'vitest'
import type { GatewayServer } from '../src/index.ts'
import { Inbox } from './support/inbox.ts'
import { linkWorker } from './support/raw-peer.ts'
import { connectClient, refusalOf } from './support/test-client.ts'

const FIXTURE = fileURLToPath(new URL('fixtures/gateway.mjs', import.meta.url))

/** A gateway in a process that may open so many files. */
async function startWith(openFiles: number, options: object) {
  const command = `ulimit -n ${openFiles} && exec "$0" "$@"`
  const child = spawn('sh', ['-c', command, process.execPath, FIXTURE, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  // biome-ignore lint/suspicious/noExplicitAny: what it prints is told apart by what it has
  const lines = new Inbox<any>()
  createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line)))
  const warnings: string[] = []
  const where = await lines.find((line) => {
    if (line.level === 'warn') warnings.push(line.message)
    return line.lanAddress !== undefined
  })
  const stats = () => {
    child.stdin.write('?')
    return lines.find((line) => line.stats !== undefined).then(({ stats }) => stats)
  }
  return { gateway: where as GatewayServer, stats, warnings }
}

test('as many clients are taken as the process may open files, and a worker finds room', async () => {
  const { gateway, stats, warnings } = await startWith(250, { maxConnections: 100_000 })
  expect(warnings).toEqual([expect.stringContaining('only 50 connections are taken')])
  for (let count = 0; count < 50; count += 1) await connectClient(gateway)
  for (let count = 0; count < 5; count += 1) expect((await refusalOf(gateway)).status).toBe(503)
  const worker = await linkWorker(gateway)
  for (let count = 0; count < 50; count += 1) await worker.next(Command.ON_CONNECT)
  expect(await stats()).toMatchObject({ connections: 50, refused: { connections: 5 } })
})

test('fewer, if that is what is asked for', async () => {
  const { gateway, warnings } = await startWith(250, { maxConnections: 1 })
  expect(warnings).toEqual([])
  await connectClient(gateway)
  expect((await refusalOf(gateway)).status).toBe(503)
})
