import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createInstanceId, Dialer } from '@gatewayworker/protocol'
import type { Address } from '@gatewayworker/supervisor'

/** Somebody who does not say what is expected gets this long to say something else. */
const TIMEOUT_MS = 1_000

/** What listens somewhere: a port of a gateway for clients, an HTTP server, a gateway's LAN port, something with TLS. */
export type Listener = 'clients' | 'http' | 'lan' | 'tls'

/** Finds out what listens on a port where something else is expected; undefined if it cannot be told. */
export async function identify(address: Address): Promise<Listener | undefined> {
  const [http, lan, tls] = await Promise.all([identifyHttp(address), isLanPort(address), speaksTls(address)])
  if (lan) return 'lan'
  return http ?? (tls ? 'tls' : undefined)
}

async function identifyHttp({ host, port }: Address): Promise<'clients' | 'http' | undefined> {
  const socket = connect({ host, port })
  const timer = setTimeout(() => socket.destroy(), TIMEOUT_MS)
  socket.on('error', () => {})
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise((resolve) => socket.once('close', resolve))
  clearTimeout(timer)
  const text = Buffer.concat(chunks).toString('latin1')
  if (!text.startsWith('HTTP/')) return undefined
  return /^upgrade: *websocket/im.test(text) ? 'clients' : 'http'
}

function isLanPort({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (answer: boolean): void => {
      dialer.destroy()
      resolve(answer)
    }
    const dialer = new Dialer({
      // Its secret is not ours to know: to be refused for it proves as much.
      hello: { instance: createInstanceId(), role: { kind: 'client' }, secretKey: '' },
      helloTimeoutMs: TIMEOUT_MS,
      host,
      onDown: ({ code }) => finish(code === 'WRONG_SECRET'),
      onUp() {
        finish(true)
        return { onFrame() {} }
      },
      port,
    })
  })
}

function speaksTls({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    // Nothing is said on it: who the other one is does not matter here.
    const socket = connectTls({ host, port, rejectUnauthorized: false })
    const finish = (answer: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => finish(false), TIMEOUT_MS)
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
    socket.once('secureConnect', () => finish(true))
  })
}
