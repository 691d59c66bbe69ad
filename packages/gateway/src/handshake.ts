import type { IncomingMessage } from 'node:http'
import type { ClientOrigin } from '@gatewayworker/protocol'
import type { Claims } from './access/token-verifier.ts'

/** The handshake as PHP's onWebSocketConnect gets it (wire.md section 3, ON_WEBSOCKET_CONNECT). */
export interface Handshake {
  /** What the client's token says, where it needs one. */
  claims?: Claims
  cookie: Record<string, string>
  get: Record<string, string>
  server: Record<string, string | number>
}

/** What the handshake says, named as PHP names it. */
export function readHandshake(request: IncomingMessage, origin: ClientOrigin, claims?: Claims): Handshake {
  const { headers, httpVersion, method = 'GET', url = '/' } = request
  const query = url.includes('?') ? url.slice(url.indexOf('?') + 1) : ''
  const server: Handshake['server'] = {
    QUERY_STRING: query,
    REQUEST_METHOD: method,
    REQUEST_URI: url,
    SERVER_PROTOCOL: `HTTP/${httpVersion}`,
    SERVER_NAME: (headers.host ?? '').replace(/:\d+$/, ''),
    CONTENT_TYPE: headers['content-type'] ?? '',
    REMOTE_ADDR: origin.remoteAddress,
    REMOTE_PORT: origin.remotePort,
    SERVER_PORT: origin.gatewayPort,
  }
  for (const [name, value] of Object.entries(headers)) {
    server[`HTTP_${name.toUpperCase().replaceAll('-', '_')}`] = String(value ?? '')
  }
  const told = { get: Object.fromEntries(new URLSearchParams(query)), server, cookie: readCookies(headers.cookie) }
  return claims === undefined ? told : { ...told, claims }
}

function readCookies(header = ''): Record<string, string> {
  const cookies: [string, string][] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, Math.max(equals, 0)).trim()
    if (name !== '') cookies.push([name, decodeCookie(pair.slice(equals + 1).trim())])
  }
  return Object.fromEntries(cookies)
}

function decodeCookie(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
