import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { announce, listen } from './listen.ts'
import { keptLog, Peer, startRegister } from './peer.ts'

/** A register's port without a register: the test is the other side of each connection. */
async function barePort() {
  let connections = 0
  const server = createServer(() => {
    connections += 1
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connectionCount: () => connections,
    nextPeer: async () => new Peer((await once(server, 'connection'))[0]),
  }
}

describe('the first line', () => {
  it.each([
    ['a gateway', { event: 'gateway_connect', address: '10.0.0.1:2900' }],
    ['a worker', { event: 'worker_connect' }],
  ])("of %s is PHP's with one field more", async (who, message) => {
    const { address, nextPeer } = await barePort()
    const peer = nextPeer()
    if (who === 'a gateway') announce('10.0.0.1:2900', [address])
    else listen([address])
    expect(JSON.parse(await (await peer).line())).toEqual({ ...message, secret_key: '', native: { version: 4 } })
  })
})

describe('a watcher', () => {
  it('takes a map for a list, as PHP encodes a list with gaps, and skips what is no address', async () => {
    const { address, nextPeer } = await barePort()
    const connected = nextPeer()
    const { next } = listen([address])
    const peer = await connected
    peer.say(
      { event: 'broadcast_addresses', addresses: { 0: '10.0.0.1:2900', 3: '10.0.0.2:2900' } },
      { event: 'something_new', addresses: ['10.0.0.9:2900'] },
      { event: 'broadcast_addresses', addresses: ['10.0.0.1:2900', 5, null] },
      { event: 'broadcast_addresses' },
    )
    expect(await next()).toEqual(['10.0.0.1:2900', '10.0.0.2:2900'])
    expect(await next()).toEqual(['10.0.0.1:2900'])
    expect(await next()).toEqual([])
  })

  it('leaves a register that talks nonsense, and connects again', async () => {
    const { address, nextPeer } = await barePort()
    const log = keptLog()
    const connected = nextPeer()
    const { next } = listen([address], { log })
    const peer = await connected
    const again = nextPeer()
    peer.say('hello\n')
    await peer.closed
    const back = await again
    expect(log.lines.join()).toContain('a line is not JSON')
    back.say({ event: 'broadcast_addresses', addresses: ['10.0.0.1:2900'] })
    expect(await next()).toEqual(['10.0.0.1:2900'])
  })

  it('that is closed stays so, whether it was connected or about to connect again', async () => {
    const { address, nextPeer, connectionCount } = await barePort()
    const connect = async (log = keptLog()) => {
      const connected = nextPeer()
      return { ...listen([address], { log }), log, peer: await connected }
    }
    const connected = await connect()
    connected.watcher.close()
    await connected.peer.closed
    const between = await connect()
    between.peer.socket.destroy()
    await vi.waitUntil(() => between.log.lines.length > 0)
    between.watcher.close()
    const open = await connect()
    const again = nextPeer()
    open.peer.socket.destroy()
    const peer = await again
    peer.say({ event: 'broadcast_addresses', addresses: [] })
    await open.next() // it is this one that is back, a second later, and none of those that would have been back before it
    expect(connectionCount()).toBe(4)
  })
})

describe('a register that is silent', () => {
  /** Whether it answers the first ping; the connection is left if it then answers no more. */
  it.each([
    ['after it has answered pings is left, and looked for again', true],
    ["always, as PHP's are, is not", false],
  ])('%s', async (_name, answers) => {
    const { address, nextPeer } = await barePort()
    const connected = nextPeer()
    const { watcher } = listen([address], { linkTimeoutMs: 60 })
    const peer = await connected
    expect(JSON.parse(await peer.line())).toMatchObject({ event: 'worker_connect' })
    expect(JSON.parse(await peer.line())).toEqual({ event: 'ping', answer: true })
    if (answers) {
      const again = nextPeer()
      peer.say({ event: 'pong' })
      await peer.closed
      await vi.waitUntil(() => watcher.problems.length > 0)
      expect(watcher.problems).toEqual([`${address}: nothing was heard from it`])
      await again
      return
    }
    for (let pings = 0; pings < 6; pings += 1) await peer.line()
    expect(peer.socket.destroyed).toBe(false)
  })
})

describe('an announcer', () => {
  it('connects again every second, not sooner, and announces itself again', async () => {
    const { address, nextPeer } = await barePort()
    let connected = nextPeer()
    const log = keptLog()
    announce('10.0.0.1:2900', [address], { log })
    for (let n = 0; n < 2; n += 1) {
      const peer = await connected
      expect(JSON.parse(await peer.line())).toMatchObject({ event: 'gateway_connect', address: '10.0.0.1:2900' })
      connected = nextPeer()
      const ended = performance.now()
      peer.socket.destroy()
      await connected
      expect(performance.now() - ended).toBeGreaterThan(950)
      expect(performance.now() - ended).toBeLessThan(3000)
    }
    // Said once per absence, with a hint at the commonest reason.
    expect(log.lines.filter((line) => line.includes('is the secret key the same?'))).toHaveLength(1)
  })
})

describe('a register address', () => {
  it('may be IPv6 in brackets', async () => {
    const { host, port } = await startRegister({ host: '::1' })
    expect(host).toBe('::1')
    announce('10.0.0.1:2900', [`[::1]:${port}`])
    await listen([`[::1]:${port}`]).until('10.0.0.1:2900')
  })

  it('may be a name', async () => {
    const { port } = await startRegister()
    expect(await listen([`localhost:${port}`]).next()).toEqual([])
  })

  it('must be there', () => {
    expect(() => listen([])).toThrow(expect.objectContaining({ code: 'BAD_REGISTER_ADDRESS' }))
  })
})
