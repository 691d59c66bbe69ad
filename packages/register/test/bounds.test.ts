import { describe, expect, it, vi } from 'vitest'
import { Peer, startRegister } from './peer.ts'

/** Announces gateways with long names, until a list has so many bytes. */
async function announceMany(port: number, listBytes: number): Promise<void> {
  for (let at = 0; at * 250 < listBytes; at += 1) {
    const gateway = await Peer.connect(port)
    gateway.say({ event: 'gateway_connect', address: `${'x'.repeat(240)}${at}` })
  }
}

describe('a watcher that does not read', () => {
  it('hears the newest list when it reads again, and few of those before', async () => {
    const { port } = await startRegister()
    const watcher = await Peer.connect(port)
    watcher.socket.pause()
    watcher.say({ event: 'worker_connect' })
    await announceMany(port, 500_000)
    // Each change is a list of 500 KB: together far more than the kernel holds.
    const gateway = await Peer.connect(port)
    const reader = await Peer.connect(port)
    reader.say({ event: 'worker_connect' })
    let heard = ''
    for (let at = 0; at < 60; at += 1) {
      gateway.say({ event: 'gateway_connect', address: `10.0.0.1:${at}` })
      while (!heard.includes(`"10.0.0.1:${at}"`)) heard = await reader.line()
    }
    watcher.socket.resume()
    await vi.waitUntil(() => watcher.lines.at(-1) === heard, { timeout: 5_000 })
    expect(watcher.lines.length).toBeLessThan(50)
  })

  it('at all is cut off', async () => {
    const { log, port } = await startRegister({ linkTimeoutMs: 100 })
    const watcher = await Peer.connect(port)
    watcher.socket.pause()
    watcher.say({ event: 'worker_connect' })
    await announceMany(port, 500_000)
    const gateway = await Peer.connect(port)
    for (let at = 0; log.lines.every((line) => !line.includes('has read nothing')); at += 1) {
      gateway.say({ event: 'gateway_connect', address: `10.0.0.1:${at}` })
      await new Promise((resolve) => setImmediate(resolve))
    }
    watcher.socket.resume()
    await watcher.closed
  })

  it('and asks on and on is cut off', async () => {
    const { log, port } = await startRegister()
    const stuffed = await Peer.connect(port)
    stuffed.socket.pause()
    await announceMany(port, 60_000)
    // Answers of 60 KB fill what the kernel holds, small ones what the register does.
    const greetings = `${JSON.stringify({ event: 'worker_connect', native: { version: 4 } })}\n`.repeat(500)
    const pings = `${JSON.stringify({ event: 'ping', answer: true })}\n`.repeat(10_000)
    for (const lines of [greetings, ...Array<string>(10).fill(pings)]) stuffed.socket.write(lines)
    await vi.waitUntil(() => log.lines.some((line) => line.includes('does not read')), { timeout: 10_000 })
    stuffed.socket.resume()
    await stuffed.closed
  })
})

describe('a register', () => {
  it('takes no address that is longer than a host name and a port', async () => {
    const { log, port } = await startRegister()
    const gateway = await Peer.connect(port)
    gateway.say({ event: 'gateway_connect', address: 'x'.repeat(261) })
    await gateway.closed
    expect(log.lines.join()).toContain('no address')
  })
})
