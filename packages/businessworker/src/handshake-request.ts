/** The handshake of a WebSocket, with the names that GatewayWorker gives its parts. */
export interface HandshakeRequest {
  /** What the client's token says, proved by the gateway; undefined where gateways ask for none. */
  claims?: Record<string, unknown>
  cookie: Record<string, string>
  /** The query: /chat?room=1 → { room: '1' }. */
  get: Record<string, string>
  /** The headers by their lower-case names. */
  headers: Record<string, string>
  /** What PHP has in $_SERVER: REQUEST_URI, REMOTE_ADDR, HTTP_USER_AGENT … */
  server: Record<string, string | number>
}

/** Completes what a gateway sends with ON_WEBSOCKET_CONNECT. */
export function readHandshakeRequest(value: unknown): HandshakeRequest {
  const { claims, cookie = {}, get = {}, server = {} } = (value ?? {}) as Partial<HandshakeRequest>
  const headers = Object.entries(server)
    .filter(([name]) => name.startsWith('HTTP_'))
    .map(([name, text]) => [name.slice('HTTP_'.length).toLowerCase().replaceAll('_', '-'), String(text)])
  return { claims, cookie, get, headers: Object.fromEntries(headers), server }
}
