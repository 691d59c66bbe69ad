import type { Credentials } from './credentials.ts'
import { Dialer, type GatewayLink } from './dial.ts'
import { createInstanceId } from './hello.ts'

export interface VisitOptions {
  credentials: Credentials
  /** The gateway's "IPv4:port". */
  gateway: string
  /** How long it may take to let us in, in milliseconds. */
  timeoutMs: number
}

/**
 * Links to a gateway once, as a backend does, and ends the link when what `visit` returns is there: that it resolves with. `instance` is the
 * random name of the gateway's process; PHP's have none. Rejects with the GatewayWorkerError of a Dialer if it does not let us in.
 */
export function visitGateway<T>(
  { credentials, gateway, timeoutMs }: VisitOptions,
  visit: (link: GatewayLink, instance: string | undefined) => T | Promise<T>,
): Promise<T> {
  const [host = '', port] = gateway.split(':')
  let dialer: Dialer | undefined
  const visited = new Promise<T>((resolve, reject) => {
    dialer = new Dialer({
      ...credentials,
      hello: { instance: createInstanceId(), role: { kind: 'client' }, secretKey: credentials.secretKey ?? '' },
      helloTimeoutMs: timeoutMs,
      host,
      onDown: reject,
      onUp(link, instance) {
        Promise.resolve(visit(link, instance)).then(resolve, reject)
        return { onFrame() {} }
      },
      port: Number(port),
    })
  })
  return visited.finally(() => dialer?.destroy())
}
