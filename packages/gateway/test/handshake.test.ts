import { Command, msgpack } from '@gatewayworker/protocol'
import { describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import type { Handshake } from '../src/handshake.ts'
import { linkWorker } from './support/raw-peer.ts'
import { startGateway } from './support/start-gateway.ts'
import { connectClient } from './support/test-client.ts'

/** What a worker is told of a handshake with this path and these headers. */
async function handshakeOf(path: string, options?: WebSocket.ClientOptions) {
  const gateway = await startGateway({ clientHost: '::' })
  const worker = await linkWorker(gateway)
  const client = await connectClient(gateway, path, options)
  const context = await worker.next(Command.CLIENT_CONTEXT)
  const { body } = await worker.next(Command.ON_WEBSOCKET_CONNECT)
  const { localPort } = (client.socket as unknown as { _socket: { localPort: number } })._socket
  return {
    gatewayPort: gateway.address.port,
    handshake: msgpack.decode(body) as Handshake,
    localPort,
    origin: msgpack.decode(context.body),
  }
}

test('a worker is told what PHP would be told', async () => {
  const { gatewayPort, handshake, localPort, origin } = await handshakeOf('/chat?room=1&name=%E5%BC%A0+a&room=2', {
    headers: { cookie: 'id=5; name=%E5%BC%A0; broken=%E5; = ; eq=a=b', 'user-agent': 'a page', 'x-two-words': 'yes' },
  })
  // An IPv4 client of a listener on :: has an address mapped into IPv6; it is told as IPv4.
  expect(origin).toEqual({ gatewayPort, remoteAddress: '127.0.0.1', remotePort: localPort })
  expect(handshake.get).toEqual({ room: '2', name: '张 a' })
  expect(handshake.cookie).toEqual({ id: '5', name: '张', broken: '%E5', eq: 'a=b' })
  expect(handshake.server).toMatchObject({
    QUERY_STRING: 'room=1&name=%E5%BC%A0+a&room=2',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: '/chat?room=1&name=%E5%BC%A0+a&room=2',
    SERVER_PROTOCOL: 'HTTP/1.1',
    SERVER_NAME: '127.0.0.1',
    CONTENT_TYPE: '',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_PORT: localPort,
    SERVER_PORT: gatewayPort,
    HTTP_HOST: `127.0.0.1:${gatewayPort}`,
    HTTP_USER_AGENT: 'a page',
    HTTP_X_TWO_WORDS: 'yes',
    HTTP_UPGRADE: 'websocket',
  })
})

describe('a handshake without anything', () => {
  test('has an empty query and no cookies', async () => {
    const { handshake } = await handshakeOf('/')
    expect(handshake.get).toEqual({})
    expect(handshake.cookie).toEqual({})
    expect(handshake.server.QUERY_STRING).toBe('')
  })
})
