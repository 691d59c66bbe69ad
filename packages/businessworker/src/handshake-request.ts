import { isUtf8 } from 'node:buffer'

/** The value of a variable in a query: text, or what brackets in names make of several: `a[]=1&a[]=2`, `a[b]=3`. */
export type QueryValue = string | QueryValue[] | { [name: string]: QueryValue }

/** The handshake of a WebSocket, with the names that GatewayWorker gives its parts. */
export interface HandshakeRequest {
  /** What the client's token says, proved by the gateway; undefined where gateways ask for none. */
  claims?: Record<string, unknown>
  cookie: Record<string, string>
  /** The query: /chat?room=1&ids[]=2&ids[]=3 → { room: '1', ids: ['2', '3'] }. */
  get: Record<string, QueryValue>
  /** The headers by their lower-case names. */
  headers: Record<string, string>
  /** What PHP has in $_SERVER: REQUEST_URI, REMOTE_ADDR, HTTP_USER_AGENT … */
  server: Record<string, string | number>
}

/** Completes what a gateway sends with ON_WEBSOCKET_CONNECT. */
export function readHandshakeRequest(value: unknown): HandshakeRequest {
  const { claims, cookie = {}, get = {}, server: told = {} } = (value ?? {}) as Partial<HandshakeRequest>
  const server = Object.fromEntries(Object.entries(told).map(([name, said]) => [name, fromBytes(said)]))
  const headers = Object.entries(server)
    .filter(([name]) => name.startsWith('HTTP_'))
    .map(([name, text]) => [name.slice('HTTP_'.length).toLowerCase().replaceAll('_', '-'), String(text)])
  return { claims, cookie, get, headers: Object.fromEntries(headers), server }
}

/** A gateway tells bytes as a character each, as HTTP means them: the text in them if they are UTF-8, as where a client has written `张三` as it is. */
function fromBytes<T extends string | number>(said: T): T | string {
  if (typeof said !== 'string' || !/[\x80-\xff]/.test(said) || /[^\x20-\xff\t]/.test(said)) return said
  const bytes = Buffer.from(said, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : said
}
