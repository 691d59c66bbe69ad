import { once } from 'node:events'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { onTestFinished } from 'vitest'
import WebSocket from 'ws'
import type { GatewayServer } from '../../src/index.ts'
import { Inbox } from './inbox.ts'

/** A page or device: what it is sent waits in `messages`, a string for text and a Buffer for binary. */
export class TestClient {
  readonly closed: Promise<{ code: number; reason: string }>
  readonly messages = new Inbox<string | Buffer>()
  readonly socket: WebSocket

  constructor(url: string, options?: WebSocket.ClientOptions) {
    this.socket = new WebSocket(url, options)
    this.socket.on('message', (data, isBinary) => this.messages.push(isBinary ? (data as Buffer) : String(data)))
    // Whatever breaks the connection ends with `close`.
    this.socket.on('error', () => {})
    this.closed = once(this.socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }))
  }

  send(message: string | Buffer): void {
    this.socket.send(message)
  }

  close(): void {
    this.socket.close()
  }
}

/** A client whose handshake is done; it ends with the test. */
export async function connectClient(
  gateway: GatewayServer,
  path = '/',
  options?: WebSocket.ClientOptions,
  scheme = 'ws',
): Promise<TestClient> {
  const client = new TestClient(`${scheme}://127.0.0.1:${gateway.address.port}${path}`, options)
  onTestFinished(() => client.socket.terminate())
  await once(client.socket, 'open')
  return client
}

/** What a client is told that is not let in. */
export async function refusalOf(
  gateway: GatewayServer,
  path = '/',
  options?: WebSocket.ClientOptions,
): Promise<{ headers: IncomingHttpHeaders; status: number | undefined; text: string }> {
  const { port } = gateway.address
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options)
  const [, response] = (await once(socket, 'unexpected-response')) as [ClientRequest, IncomingMessage]
  const { headers, statusCode } = response
  return { headers, status: statusCode, text: (await response.toArray()).join('') }
}
