import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startCluster } from './start-cluster.ts'

const script = fileURLToPath(new URL('fixtures/push-once.mjs', import.meta.url))

test.each(['by itself', 'exit'])('a program that pushes once ends, and its message has arrived (%s)', async (how) => {
  const cluster = await startCluster()
  const client = await cluster.connect()
  const child = spawn(process.execPath, [script, cluster.registerAddress, 'x'.repeat(50_000), how], {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 10_000,
  })
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(await client.messages.next()).toHaveLength(50_000)
})
