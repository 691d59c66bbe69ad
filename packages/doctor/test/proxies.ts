import { createServer as createHttpServer, request } from 'node:http'
import { connect } from 'node:net'
import { listen, serve } from './support.ts'

/** A proxy that hands bytes on to `target`, in both directions, as long as `passes` lets it. */
export function relay(target: string, passes: (chunk: number) => boolean = () => true): Promise<string> {
  return serve((client) => {
    const upstream = connect(portOf(target), '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      let chunks = 0
      from.on('error', () => {})
      from.on('close', () => to.destroy())
      from.on('data', (chunk) => {
        if (passes(chunks)) to.write(chunk)
        chunks += 1
      })
    }
  })
}

/** A proxy that ends connections on which nothing was said for so long. */
export function impatientRelay(target: string, idleMs: number): Promise<string> {
  return serve((client) => {
    const upstream = connect(portOf(target), '127.0.0.1')
    upstream.on('error', () => {})
    client.setTimeout(idleMs, () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.pipe(upstream).pipe(client)
  })
}

/** A proxy that speaks HTTP, and does not hand on what belongs to one connection: nginx without the lines for WebSocket. */
export function plainProxy(target: string): Promise<string> {
  const server = createHttpServer(({ headers, url }, response) => {
    const { connection: _, upgrade: __, ...others } = headers
    const asked = request({ headers: others, host: '127.0.0.1', path: url, port: portOf(target) }, (answer) => {
      response.writeHead(answer.statusCode!)
      answer.pipe(response)
    })
    asked.end()
  })
  return listen(server)
}

/** A web server with one answer to everything. */
export function webServer(status: number, body = '', headers: Record<string, string> = {}): Promise<string> {
  return listen(createHttpServer((_request, response) => response.writeHead(status, headers).end(body)))
}

/** The port of "host:port". */
export function portOf(address: string): number {
  return Number(address.split(':').at(-1))
}
