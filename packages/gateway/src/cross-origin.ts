import type { IncomingMessage } from 'node:http'

/** How long a browser remembers what it may send, in seconds. */
const MAX_AGE_S = 600
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~, -]*$/

/** Which pages may read an answer: any, as any may open a WebSocket, but with the cookies of its visitor only one that is listed. */
export function crossOriginHeaders({ headers: { origin } }: IncomingMessage, isListed: boolean): string {
  if (origin === undefined) return ''
  if (!isListed) return 'Access-Control-Allow-Origin: *\r\n'
  return `Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Origin: ${origin}\r\nVary: Origin\r\n`
}

/** Whether a browser asks what a page may send (Fetch standard, section 3.3.2). */
export function isPreflight({ headers, method }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

/** The answer: a GET with the headers that it wants to send, such as Authorization and Last-Event-ID. */
export function preflightResponse(request: IncomingMessage, isListed: boolean): string {
  const names = String(request.headers['access-control-request-headers'] ?? '')
  return [
    'HTTP/1.1 204 No Content',
    'Access-Control-Allow-Methods: GET',
    ...(HEADER_NAMES.test(names) && names !== '' ? [`Access-Control-Allow-Headers: ${names}`] : []),
    `Access-Control-Max-Age: ${MAX_AGE_S}`,
    'Connection: close',
    `${crossOriginHeaders(request, isListed)}\r\n`,
  ].join('\r\n')
}
