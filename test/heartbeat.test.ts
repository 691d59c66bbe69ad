import { expect, it } from 'vitest'
import { startCluster } from './cluster.ts'

it('a quiet client is sent the ping data; one that says nothing is dropped, one that answers is not', async () => {
  const pings = ['--ping-interval', '0.3', '--ping-not-response-limit', '6', '--ping-data', 'ping?']
  const cluster = await startCluster({ gatewayArgs: pings })
  const [quiet, answering] = [await cluster.connect(), await cluster.connect()]
  const answered: Promise<number> = (async () => {
    let count = 0
    while ((await answering.next()) === 'ping?') {
      count += 1
      answering.socket.ping()
      if (quiet.socket.readyState === quiet.socket.CLOSED) break
    }
    return count
  })()
  expect(await quiet.next()).toBe('ping?')
  expect(await quiet.isClosed()).toEqual({ code: 1006, reason: '' })
  expect(await answered).toBeGreaterThan(0)
  expect(await cluster.backend().isOnline(answering.clientId)).toBe(true)
})
