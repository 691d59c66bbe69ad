import type { IncomingMessage } from 'node:http'

/** What is wrong with a request (RFC 9110, 9112 and 6455), as its sender is told: status line with headers, and a sentence. */
export interface Fault {
  head: string
  text: string
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
const KEY = /^[+/\dA-Za-z]{22}==$/

/** Puts a request into its usual form: a target with a host in it says the host (RFC 9112 section 3.2.2). Returns what is wrong with it. */
export function readRequest(request: IncomingMessage): Fault | undefined {
  const { headers, httpVersion, rawHeaders, url = '' } = request
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length
  if (hosts > 1 || (hosts === 0 && httpVersion !== '1.0') || /[\s/?#@\\]/.test(headers.host ?? '')) {
    return badRequest('It needs one Host header, with a host in it.')
  }
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    return HAS_BODY
  }
  const [, authority, path = ''] = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)(.*)$/is.exec(url) ?? []
  if (authority === undefined) return undefined
  headers.host = authority.slice(authority.lastIndexOf('@') + 1)
  request.url = path.startsWith('/') ? path : `/${path}`
  return undefined
}

/** Whether it asks for a WebSocket; an upgrade to anything else, or over HTTP/1.0, is to be ignored (RFC 9110 section 7.8). */
export function asksForWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion !== '1.0' && listOf(headers.upgrade).some((name) => name.toLowerCase() === 'websocket')
}

/**
 * Puts the request for a WebSocket into the form that ws takes (RFC 6455 section 4.2.1). Empty and repeated elements of a list are none
 * (RFC 9110 section 5.6.1): React Native sends an empty list of subprotocols. Returns what is wrong with it.
 */
export function readUpgrade(request: IncomingMessage): Fault | undefined {
  const { headers, method } = request
  if (method !== 'GET') return NOT_GET
  if (headers['sec-websocket-version'] !== '13') {
    return {
      head: '426 Upgrade Required\r\nSec-WebSocket-Version: 13',
      text: 'Version 13 of WebSocket is spoken here.',
    }
  }
  if (!KEY.test(headers['sec-websocket-key'] ?? ''))
    return badRequest('Its Sec-WebSocket-Key is not 16 bytes in base64.')
  headers.upgrade = 'websocket'
  const protocols = [...new Set(listOf(headers['sec-websocket-protocol']))]
  if (!protocols.every((name) => TOKEN.test(name)))
    return badRequest('Its Sec-WebSocket-Protocol is not a list of names.')
  if (protocols.length === 0) delete headers['sec-websocket-protocol']
  else headers['sec-websocket-protocol'] = protocols.join(', ')
  return undefined
}

/** Nobody would read it. */
export const HAS_BODY: Fault = badRequest('It may have no body.')

/** RFC 9110 section 15.5.6. */
export const NOT_GET: Fault = { head: '405 Method Not Allowed\r\nAllow: GET', text: 'Only GET is taken here.' }

/** RFC 9110 section 10.1.1. */
export const UNKNOWN_EXPECTATION: Fault = { head: '417 Expectation Failed', text: 'What it expects is not known here.' }

/** RFC 9110 section 15.5.15. */
export const TARGET_TOO_LONG: Fault = { head: '414 URI Too Long', text: 'Its URL is too long.' }

/** RFC 6585 section 5. */
export const HEAD_TOO_LONG: Fault = {
  head: '431 Request Header Fields Too Large',
  text: 'Its URL and headers are too long.',
}

/** What Node's parser has found. */
export function faultOf({ code = '' }: NodeJS.ErrnoException): Fault {
  if (code === 'HPE_HEADER_OVERFLOW') return HEAD_TOO_LONG
  if (code === 'HPE_PAUSED_H2_UPGRADE')
    return { head: '505 HTTP Version Not Supported', text: 'HTTP/1.1 is spoken here.' }
  return badRequest('It is not HTTP, or is written wrong.')
}

export function badRequest(text: string): Fault {
  return { head: '400 Bad Request', text }
}

function listOf(header = ''): string[] {
  return header
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}
