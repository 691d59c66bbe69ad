import type { IncomingMessage } from 'node:http'

/** Where in a handshake a token may be: `Authorization: Bearer`, `new WebSocket(url, ['bearer', token])`, a cookie, or the query. */
export type TokenSource = 'authorization' | 'protocol' | `cookie:${string}` | `query:${string}`

const SOURCE = /^(?:authorization|protocol|(?:cookie|query):[\w.-]+)$/

/** Throws a TypeError for what is none. */
export function readTokenSource(text: string): TokenSource {
  if (SOURCE.test(text)) return text as TokenSource
  throw new TypeError(`"${text}" is none of authorization, protocol, cookie:NAME, query:NAME`)
}

/** Takes the token out of a request, so that nobody is told of it who reads the request later; the first source that has one counts. */
export function takeToken(request: IncomingMessage, sources: readonly TokenSource[]): string | undefined {
  const tokens = sources.map((source) => take(request, source))
  return tokens.find((token) => token !== undefined && token !== '')
}

function take(request: IncomingMessage, source: TokenSource): string | undefined {
  const [kind, name = ''] = source.split(':')
  switch (kind) {
    case 'authorization':
      return takeBearer(request)
    case 'protocol':
      return takeProtocol(request)
    case 'cookie':
      return takeCookie(request, name)
    default:
      return takeParameter(request, name)
  }
}

function takeBearer({ headers }: IncomingMessage): string | undefined {
  const [, token] = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? []
  if (token !== undefined) delete headers.authorization
  return token
}

/** The one after `bearer`; that one stays, as the protocol to agree upon. */
function takeProtocol({ headers }: IncomingMessage): string | undefined {
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim())
  const at = offered.indexOf('bearer') + 1
  if (at === 0 || at === offered.length) return undefined
  const [token] = offered.splice(at, 1)
  headers['sec-websocket-protocol'] = offered.join(', ')
  return token
}

function takeCookie({ headers }: IncomingMessage, name: string): string | undefined {
  const { left, taken } = takePair((headers.cookie ?? '').split(/; */), name)
  if (taken !== undefined) headers.cookie = left.join('; ')
  return taken
}

function takeParameter(request: IncomingMessage, name: string): string | undefined {
  const [path = '', query] = splitOnce(request.url ?? '', '?')
  const { left, taken } = takePair((query ?? '').split('&'), name)
  if (taken !== undefined) request.url = left.length === 0 ? path : `${path}?${left.join('&')}`
  return taken
}

/** Takes all `name=value` of a name out; the first one's value counts. */
function takePair(pairs: readonly string[], name: string): { left: string[]; taken: string | undefined } {
  const isIts = (pair: string) => splitOnce(pair, '=')[0] === name
  const found = pairs.find(isIts)
  return { left: pairs.filter((pair) => !isIts(pair)), taken: found && (splitOnce(found, '=')[1] ?? '') }
}

function splitOnce(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark)
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
