import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { phpSerialize } from '../src/php-codec.ts'
import { toPhpHandshake } from '../src/php-handshake.ts'
import { hasPhp, takePieces } from './php-peer.ts'

type Server = Record<string, string | number>

/** A part of what PHP is told, serialized, with one character for each byte. */
const tell = (part: 'cookie' | 'get' | 'server', server: Server): string =>
  phpSerialize.encode(toPhpHandshake({ server })[part]).toString('latin1')
const tellGet = (query: string): string => tell('get', { QUERY_STRING: query })
const tellCookie = (header: string): string => tell('cookie', { HTTP_COOKIE: header })

describe('the query string', () => {
  it.each([
    ['is empty', '', 'a:0:{}'],
    [
      'has values and none',
      'a=1&b=&c&=x&&d=e=f',
      'a:4:{s:1:"a";s:1:"1";s:1:"b";s:0:"";s:1:"c";s:0:"";s:1:"d";s:3:"e=f";}',
    ],
    ['is decoded', '%61+b=%C3%A9+%2b%zz%4', 'a:1:{s:3:"a_b";s:9:"\xc3\xa9 +%zz%4";}'],
    ['has bytes that are no UTF-8', '\xe9=%FF&\xc3\xa9=1', 'a:2:{s:1:"\xe9";s:1:"\xff";s:2:"\xc3\xa9";s:1:"1";}'],
    ['has integers for names', '10=a&9=b&05=c', 'a:3:{i:10;s:1:"a";i:9;s:1:"b";s:2:"05";s:1:"c";}'],
    ['has a list', 'b[]=1&b[]=2', 'a:1:{s:1:"b";a:2:{i:0;s:1:"1";i:1;s:1:"2";}}'],
    ['has a map', 'm[k]=1&m[l][]=2', 'a:1:{s:1:"m";a:2:{s:1:"k";s:1:"1";s:1:"l";a:1:{i:0;s:1:"2";}}}'],
    ['goes on behind an index', 'b[7]=1&b[3]=2&b[]=3', 'a:1:{s:1:"b";a:3:{i:7;s:1:"1";i:3;s:1:"2";i:8;s:1:"3";}}'],
    [
      'has the greatest index',
      'b[9223372036854775807]=1&b[]=2&b[][x]=3',
      'a:1:{s:1:"b";a:1:{i:9223372036854775807;s:1:"1";}}',
    ],
    ['says a name again', 'a=1&b=2&a=3', 'a:2:{s:1:"a";s:1:"3";s:1:"b";s:1:"2";}'],
    ['says a name again as an array', 'a=1&b=2&a[]=3', 'a:2:{s:1:"a";a:1:{i:0;s:1:"3";}s:1:"b";s:1:"2";}'],
    ['has names with dots and spaces', '+a.b+c=1', 'a:1:{s:5:"a_b_c";s:1:"1";}'],
    [
      'has a bracket that is not closed',
      'a.b[c.d=1&e[f][g=2',
      'a:2:{s:7:"a_b_c_d";s:1:"1";s:1:"e";a:1:{s:1:"f";s:1:"2";}}',
    ],
    ['has something behind a bracket', 'a[b]c[d]=1', 'a:1:{s:1:"a";a:1:{s:1:"b";s:1:"1";}}'],
    [
      'has blanks in brackets',
      'a[ ]=1&a[%09]=2&a[  ]=3',
      'a:1:{s:1:"a";a:3:{i:0;s:1:"1";i:1;s:1:"2";s:2:"  ";s:1:"3";}}',
    ],
    ['has brackets only', '[a]=1&[=2', 'a:0:{}'],
    ['imitates a protected name', '..Host-a=1&__Host-b=2', 'a:1:{s:8:"__Host-b";s:1:"2";}'],
    ['has zero bytes', 'a%00b=c%00d', 'a:1:{s:1:"a";s:3:"c\0d";}'],
    [
      'has the names of prototypes',
      '__proto__[x]=1&constructor=2',
      'a:2:{s:9:"__proto__";a:1:{s:1:"x";s:1:"1";}s:11:"constructor";s:1:"2";}',
    ],
  ])('%s', (_what, query, serialized) => {
    expect(tellGet(query)).toBe(serialized)
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })

  it('counts for 1000 variables, whether they have a name or not', () => {
    expect(tellGet(`&&${'=&'.repeat(999)}y=1&z=2`)).toBe('a:1:{s:1:"y";s:1:"1";}')
    expect(tellGet('a[]&'.repeat(100_000))).toMatch(/^a:1:\{s:1:"a";a:1000:\{i:0;s:0:""/)
  })

  it('has 64 brackets in a name at most; with more of them the name is gone', () => {
    expect(tellGet(`a${'[x]'.repeat(64)}=1`)).toBe(
      `a:1:{s:1:"a";${'a:1:{s:1:"x";'.repeat(64)}s:1:"1";${'}'.repeat(65)}`,
    )
    for (const brackets of ['[x]'.repeat(65), `${'[x]'.repeat(64)}[`, '[x]'.repeat(500_000)]) {
      expect(tellGet(`b=1&a=2&a${brackets}=3`)).toBe('a:1:{s:1:"b";s:1:"1";}')
    }
  })

  it.each(['&', '[', ']', '%', '+', '.', '\0', 'a[', 'a[]', '%5B', '%00'])('may repeat %j for ever', (piece) => {
    expect(tellGet(`a${piece.repeat(500_000)}`)).toMatch(/^a:[01]:\{/)
  })
})

describe('the cookies', () => {
  it.each([
    ['as they are', 'a=1; b=x%20y+z', 'a:2:{s:1:"a";s:1:"1";s:1:"b";s:7:"x%20y+z";}'],
    ['flat', 'a[]=1;b.c=2', 'a:2:{s:3:"a[]";s:1:"1";s:3:"b.c";s:1:"2";}'],
    ['with the last of a name', 'a=1; b=2; a=3', 'a:2:{s:1:"a";s:1:"3";s:1:"b";s:1:"2";}'],
    ['with blanks around values, not names', ' a \t= 1 ;\tb=', 'a:2:{s:1:"a";s:3:" 1 ";s:1:"b";s:0:"";}'],
    ['without what has no value', 'a; b=c=d;; =e', 'a:2:{s:1:"b";s:3:"c=d";s:0:"";s:1:"e";}'],
    ['in bytes', '\xc3\xa0=\xff; \xa0=1', 'a:2:{s:2:"\xc3\xa0";s:1:"\xff";s:1:"\xa0";s:1:"1";}'],
    ['with integers for names', '7=a; __proto__=b', 'a:2:{i:7;s:1:"a";s:9:"__proto__";s:1:"b";}'],
    ['none', '', 'a:0:{}'],
  ])('are told %s', (_how, header, serialized) => {
    expect(tellCookie(header)).toBe(serialized)
  })

  it('may have any number of blanks', () => {
    expect(tellCookie(`a${' '.repeat(500_000)}b=1`)).toHaveLength('a:1:{s:500002:"";s:1:"1";}'.length + 500_002)
  })
})

describe('the server', () => {
  it('is told in the bytes that came', () => {
    const server = {
      HTTP_HOST: 'h:1',
      SERVER_NAME: 'h',
      HTTP_CONTENT_TYPE: '',
      CONTENT_TYPE: '',
      HTTP_X: '\xc3\xa9\xff',
    }
    const text = (said: string) => `s:${said.length}:"${said}";`
    const pairs = Object.entries(server).map(([name, value]) => text(name) + text(value))
    expect(tell('server', { ...server, REMOTE_PORT: 50_001 })).toBe(
      `a:6:{${pairs.join('')}s:11:"REMOTE_PORT";i:50001;}`,
    )
  })

  it('has null, in its place, for headers that were not sent', () => {
    expect(tell('server', { SERVER_NAME: '', CONTENT_TYPE: '', SERVER_PORT: 1 })).toBe(
      'a:3:{s:11:"SERVER_NAME";N;s:12:"CONTENT_TYPE";N;s:11:"SERVER_PORT";i:1;}',
    )
  })

  it('comes between the others', () => {
    expect(Object.keys(toPhpHandshake({ server: {} }))).toEqual(['get', 'server', 'cookie'])
  })
})

/** Reads query strings, each after its length, and says in the same way what parse_str makes of them. */
const PARSE_EACH = `
  error_reporting(0);
  $input = stream_get_contents(STDIN);
  for ($at = 0; $at < strlen($input); $at += 4 + $length) {
    $length = unpack('N', $input, $at)[1];
    parse_str(substr($input, $at + 4, $length), $variables);
    $said = serialize($variables);
    echo pack('N', strlen($said)), $said;
  }`

/** What one real php makes of each query string. */
function askPhp(queries: string[]): string[] {
  const input = queries.map((query) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(query.length)
    return Buffer.concat([length, Buffer.from(query, 'latin1')])
  })
  // -n: PHP's own defaults, whatever the machine's php.ini says.
  const { stdout } = spawnSync('php', ['-n', '-r', PARSE_EACH], { input: Buffer.concat(input), maxBuffer: 2 ** 28 })
  return takePieces(stdout).map((piece) => piece.toString('latin1'))
}

const shortPieces = fc.constantFrom(
  ...'a a b é \xff = = & & &a [ ] [] [] [a] [5] [05] [-0] . + _ - ; % 0 7'.split(' '),
  ...'%2 %26 %3D %5B %5D %00 %C3%a9 %09 %0B %a0 __Host- ..Secure- _[Host- __proto__'.split(' '),
  ...'[9007199254740991] [9223372036854775807] [-9223372036854775808]'.split(' '),
  ...[' ', '[ ]', '[  ]', '[ a]'],
)
const longPieces = fc.oneof(
  fc.integer({ min: 62, max: 66 }).map((count) => `&a${'[a]'.repeat(count)}`),
  fc.integer({ min: 990, max: 1010 }).map((count) => '&b[]'.repeat(count)),
)
const queryStrings = fc
  .array(fc.oneof({ arbitrary: shortPieces, weight: 200 }, { arbitrary: longPieces, weight: 1 }), { maxLength: 20 })
  .map((pieces) => pieces.join(''))

const title = 'what the real parse_str makes of query strings'

describe.skipIf(!hasPhp)(hasPhp ? title : `${title} (skipped: php is not installed, apt-get install php-cli)`, () => {
  it('is what ours makes of them', () => {
    const queries = fc.sample(queryStrings, 5000)
    const said = askPhp(queries)
    expect(said).toHaveLength(queries.length)
    const cases = queries.map((query, at) => ({ query, ours: tellGet(query), php: said[at] }))
    const different = cases.filter(({ ours, php }) => ours !== php)
    // The shortest says most.
    expect(different.sort((one, other) => one.query.length - other.query.length)[0]).toBeUndefined()
  })
})
