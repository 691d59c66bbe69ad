import { describe, expect, it } from 'vitest'
import { startCluster } from './cluster.ts'

const bufferArgs = ['--send-to-client-buffer-size', '100000']
/** Far more than what the kernel holds for a connection, in steps of a message. */
const MAX_MESSAGES = 2000
const messageBody = 'x'.repeat(64 * 1024)
const numberOf = (message: string | Buffer) => Number.parseInt(String(message), 10)

describe('a client that does not read', () => {
  it('is closed with 4001 when too much waits for it, and nobody else notices', async () => {
    const cluster = await startCluster({ gatewayArgs: bufferArgs })
    const [slow, quick] = [await cluster.connect(), await cluster.connect()]
    const backend = cluster.backend()
    const logged = cluster.gateways[0]!.next({ msg: 'a client reads too slowly', clientId: slow.clientId })
    slow.socket.pause()

    let number = 0
    for (; number < MAX_MESSAGES; number++) {
      const receipt = await backend.sendToAll(`${number} ${messageBody}`, null, null, { receipt: true })
      expect(numberOf(await quick.next())).toBe(number)
      if (receipt.slow === 0) continue
      expect(receipt).toEqual({ delivered: 1, slow: 1, unanswered: [] })
      break
    }
    // What had left for it before is not lost: it comes, in order, before the end.
    slow.socket.resume()
    expect(await backend.isOnline(slow.clientId)).toBe(false)
    expect(await logged).toMatchObject({ level: 'warn', policy: 'close', bufferSizeBytes: 100_000 })
    expect(await slow.isClosed()).toEqual({ code: 4001, reason: 'reads too slowly' })
    expect((await slow.take(number)).map(numberOf)).toEqual(Array.from({ length: number }, (_, index) => index))
    expect(slow.waiting).toBe(0)
  })

  it('with the policy "drop" misses what does not fit, stays, and is mentioned once', async () => {
    const cluster = await startCluster({ gatewayArgs: [...bufferArgs, '--slow-client-policy', 'drop'] })
    const slow = await cluster.connect()
    const backend = cluster.backend()
    slow.socket.pause()

    const dropped = new Set<number>()
    let number = 0
    for (; number < MAX_MESSAGES && dropped.size < 10; number++) {
      const { slow } = await backend.sendToAll(`${number} ${messageBody}`, null, null, { receipt: true })
      if (slow === 1) dropped.add(number)
    }
    expect(dropped.size).toBe(10)
    const kept = Array.from({ length: number }, (_, index) => index).filter((index) => !dropped.has(index))
    slow.socket.resume()
    expect((await slow.take(kept.length)).map(numberOf)).toEqual(kept)
    expect(await backend.sendToAll('there is room', null, null, { receipt: true })).toMatchObject({ delivered: 1 })
    expect(await slow.next()).toBe('there is room')
    expect(cluster.gateways[0]!.lines.filter(({ msg }) => msg === 'a client reads too slowly')).toHaveLength(1)
  })
})
