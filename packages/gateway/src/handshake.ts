import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { ClientOrigin } from '@gatewayworker/protocol'
import type { Claims } from './access/token-verifier.ts'
import { parseQuery, type QueryValue } from './query.ts'

/** The handshake as PHP's onWebSocketConnect gets it (wire.md section 3, ON_WEBSOCKET_CONNECT). */
export interface Handshake {
  /** What the client's token says, where it needs one. */
  claims?: Claims
  cookie: Record<string, string>
  get: Record<string, QueryValue>
  /** Of what came from the client each character is a byte, as Node reads it. */
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
    // X_User would become what X-User becomes, and a proxy that sets the one lets the other pass: nginx leaves these out, too.
    if (!name.includes('_')) server[`HTTP_${name.toUpperCase().replaceAll('-', '_')}`] = String(value ?? '')
  }
  const told = { get: parseQuery(query), server, cookie: readCookies(headers.cookie) }
  return claims === undefined ? told : { ...told, claims }
}

/** Of those with the same name the first: browsers send the one for the longest path first (RFC 6265 section 5.4). */
function readCookies(header = ''): Record<string, string> {
  const cookies = new Map<string, string>()
  for (const pair of fromBytes(header).split(';')) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, Math.max(equals, 0)).trim()
    if (name !== '' && !cookies.has(name)) cookies.set(name, decodeCookie(pair.slice(equals + 1).trim()))
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

/** The text in bytes that are read as a character each: UTF-8, or else as they are. */
function fromBytes(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : text
}
