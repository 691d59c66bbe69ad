import { expect, it } from 'vitest'
import { startCluster } from './cluster.ts'
import { within } from './deadline.ts'
import { Program } from './program.ts'

it("a backend's script that pushes once ends by itself, and its message arrives", async () => {
  const secretKey = 'secret'
  const cluster = await startCluster({ gateways: 2, secretKey })
  const clients = [await cluster.connect(0), await cluster.connect(1)]
  const env = { REGISTER_ADDRESS: cluster.registerAddress, SECRET_KEY: secretKey }
  const script = new Program('test/fixtures/push-once.mjs', [], env)
  expect(await within(script.exited, 'the end of the script')).toEqual({ code: 0, signal: null })
  for (const client of clients) expect(await client.nextJson()).toEqual({ pushed: 2 })
})

it('a script that finds no register ends by itself, too, and says so', async () => {
  const env = { DEADLINE_MS: '300', REGISTER_ADDRESS: '127.0.0.1:1', SECRET_KEY: '' }
  const script = new Program('test/fixtures/push-once.mjs', [], env)
  expect((await within(script.exited, 'the end of the script')).code).toBe(1)
  expect(script.errors).toContain('NO_REGISTER')
})
