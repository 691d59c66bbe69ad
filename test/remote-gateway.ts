import { deserialize, serialize } from 'node:v8'
import type { GatewayClient } from '@gatewayworker/gateway-client'
import type { TestClient } from './test-client.ts'

/** The names of the push API's methods. */
export type Method = Exclude<
  {
    [Name in keyof GatewayClient]: GatewayClient[Name] extends (...args: never[]) => Promise<unknown> ? Name : never
  }[keyof GatewayClient],
  'close'
>

/** The push API as it is called inside fixtures/remote-control.ts, in the name of a client, one call after the other. */
export function createRemoteGateway(client: TestClient): GatewayClient {
  return new Proxy({} as GatewayClient, {
    get: (_target, method) =>
      method === 'then' ? undefined : (...args: unknown[]) => call(client, String(method), args),
  })
}

async function call(client: TestClient, method: string, args: unknown[]): Promise<unknown> {
  client.send(serialize({ method, args }))
  const pushed: (string | Buffer)[] = []
  for (;;) {
    const message = await client.next()
    const answer = readAnswer(message)
    if (answer === undefined) {
      pushed.push(message)
      continue
    }
    client.putBack(pushed)
    if (answer.error !== undefined) throw Object.assign(new Error(answer.error.message), answer.error)
    return answer.result
  }
}

/** What a test pushes to the client meanwhile is no answer. */
function readAnswer(message: string | Buffer): { error?: { message: string }; result?: unknown } | undefined {
  return Buffer.isBuffer(message) && message[0] === 0xff ? deserialize(message) : undefined
}
