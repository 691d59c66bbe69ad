import { castTextKey, isInt64, narrowInt, type PhpKey } from './php-values.ts'

/** How many variables PHP takes from a query string, and how many brackets in a name (max_input_vars, max_input_nesting_level). */
const MAX_VARIABLES = 1000
const MAX_BRACKETS = 64

/** What a gateway tells of a handshake, as far as PHP is told of it. Node reads requests as latin1: a character is a byte. */
export interface ReceivedHandshake {
  /** What the client's token says; PHP finds it as JSON in server, where no header can put it. */
  readonly claims?: object
  readonly server: Readonly<Record<string, string | number>>
}

/**
 * The body of ON_WEBSOCKET_CONNECT as PHP's gateway makes it: `get` is what parse_str reads in the query string, `server` has null for
 * what the client did not say, `cookie` is not decoded. Strings are the bytes that came.
 */
export function toPhpHandshake({ claims, server }: ReceivedHandshake): Record<string, Map<PhpKey, unknown>> {
  const told = new PhpArrayBuilder()
  for (const [name, value] of Object.entries(server)) told.set(name, value)
  if (server.HTTP_HOST === undefined) told.set('SERVER_NAME', null)
  if (server.HTTP_CONTENT_TYPE === undefined) told.set('CONTENT_TYPE', null)
  if (claims !== undefined) told.set('JWT_CLAIMS', Buffer.from(JSON.stringify(claims)).toString('latin1'))
  return {
    get: parseQuery(String(server.QUERY_STRING ?? '')).build(),
    server: told.build(),
    cookie: parseCookies(String(server.HTTP_COOKIE ?? '')).build(),
  }
}

function parseCookies(header: string): PhpArrayBuilder {
  const cookies = new PhpArrayBuilder()
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    // The look behind keeps it linear; trim() would take 0xa0, a byte of some letters.
    const name = pair.slice(0, equals).replace(/^[ \t]+|(?<![ \t])[ \t]+$/g, '')
    if (equals !== -1) cookies.set(name, pair.slice(equals + 1))
  }
  return cookies
}

function parseQuery(query: string): PhpArrayBuilder {
  const variables = new PhpArrayBuilder()
  for (const pair of query.split('&').filter(Boolean).slice(0, MAX_VARIABLES)) {
    const [name = '', ...value] = pair.split('=')
    setVariable(variables, decodeUrl(name), decodeUrl(value.join('=')))
  }
  return variables
}

function decodeUrl(text: string): string {
  const toChar = (_escape: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))
  return text.replaceAll('+', ' ').replace(/%([\da-f]{2})/gi, toChar)
}

/** Sets `a`, `a[b]`, `a[]` and so on. Only a closed bracket opens an array, and what is no bracket right behind it is ignored. */
function setVariable(variables: PhpArrayBuilder, decodedName: string, value: string): void {
  // To PHP, which reads a C string, a name ends at a zero byte.
  const [text = ''] = decodedName.replace(/^ +/, '').split('\0', 1)
  const [, plain = text, rest = ''] = /^([^[]*)(\[[^\]]*\].*)$/s.exec(text) ?? []
  const name = plain.replace(/[ .[]/g, '_')
  if (name === '' || text.startsWith('[')) return
  let array = variables
  let key: string | undefined = name
  let depth = 0
  for (const [, index = '', end] of rest.matchAll(/\[([^\]]*)(\]?)/gy)) {
    depth += 1
    if (depth > MAX_BRACKETS) variables.delete(name)
    if (depth > MAX_BRACKETS || isForged(text, key)) return
    if (end === '') break
    array = array.open(key)
    key = /^[ \t-\r]?$/.test(index) ? undefined : index
  }
  if (!isForged(text, key)) array.set(key, value)
}

/** Browsers vouch for names with these prefixes; PHP takes them only where they begin the name that was sent. */
function isForged(text: string, key = ''): boolean {
  const [prefix = ''] = /^__(?:Host|Secure)-/.exec(key) ?? []
  return !text.startsWith(prefix)
}

type Value = string | number | null | PhpArrayBuilder

/** A PHP array that is being filled with strings of one character for each byte. No key means the next index, as in PHP's `[]`. */
class PhpArrayBuilder {
  readonly #entries = new Map<string | number | bigint, Value>()
  #nextIndex: bigint | undefined

  /** Does nothing where there is no next index. */
  set(key: string | undefined, value: Value): void {
    const cast = key === undefined ? narrowInt(this.#nextIndex ?? 0n) : castTextKey(key)
    if (typeof cast !== 'string') {
      const index = BigInt(cast)
      if (!isInt64(index)) return
      if (this.#nextIndex === undefined || index >= this.#nextIndex) this.#nextIndex = index + 1n
    }
    this.#entries.set(cast, value)
  }

  /** The array at a key, put there in place of anything else. */
  open(key: string | undefined): PhpArrayBuilder {
    const there = key === undefined ? undefined : this.#entries.get(castTextKey(key))
    if (there instanceof PhpArrayBuilder) return there
    const array = new PhpArrayBuilder()
    this.set(key, array)
    return array
  }

  delete(key: string): void {
    this.#entries.delete(castTextKey(key))
  }

  build(): Map<PhpKey, unknown> {
    return new Map(Array.from(this.#entries, ([key, value]) => [toPhp(key) as PhpKey, toPhp(value)]))
  }
}

function toPhp(value: Value | bigint): unknown {
  if (typeof value === 'string') return Buffer.from(value, 'latin1')
  return value instanceof PhpArrayBuilder ? value.build() : value
}
