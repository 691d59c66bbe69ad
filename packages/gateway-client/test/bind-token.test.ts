import { execFileSync, spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { GatewayClient } from '../src/index.ts'

const clientId = '7f0000010b540000002a'
const secretKey = 'the secret of the cluster'
const gateway = new GatewayClient({ secretKey })

describe('a bind token', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('has the form that the README says', () => {
    vi.useFakeTimers({ now: 1_700_000_000_999 })
    const signature = createHmac('sha256', secretKey).update(`gatewayworker-bind:${clientId}:1700000060`).digest('hex')
    expect(gateway.createBindToken(clientId)).toBe(`1700000060.${signature}`)
  })

  it.each([
    ['60 seconds', 60, undefined],
    ['the seconds that it was made for', 2, { ttlS: 2 }],
  ])('is good for %s', (_what, seconds, options) => {
    vi.useFakeTimers({ now: 1_700_000_000_000 })
    const token = gateway.createBindToken(clientId, options)
    vi.advanceTimersByTime(seconds * 1000 - 1)
    expect(gateway.verifyBindToken(clientId, token)).toBe(true)
    vi.advanceTimersByTime(1)
    expect(gateway.verifyBindToken(clientId, token)).toBe(false)
  })

  it('is worth nothing for another client id or in another cluster', () => {
    const token = gateway.createBindToken(clientId)
    expect(gateway.verifyBindToken(clientId.replace('a', 'b'), token)).toBe(false)
    expect(new GatewayClient({ secretKey: 'another' }).verifyBindToken(clientId, token)).toBe(false)
  })

  it('cannot be changed', () => {
    const token = gateway.createBindToken(clientId)
    const later = token.replace(/^\d+/, (expires) => String(Number(expires) + 1))
    const changed = [
      later,
      `0${token}`,
      ` ${token}`,
      `${token}\n`,
      token.toUpperCase(),
      token.slice(0, -1),
      `${token}0`,
    ]
    for (const other of changed) expect(gateway.verifyBindToken(clientId, other), other).toBe(false)
  })

  it('may be anything that a page posts', () => {
    const token = gateway.createBindToken(clientId)
    for (const other of [undefined, null, 0, '', '.', 'a.b', [token], { token }]) {
      expect(gateway.verifyBindToken(clientId, other)).toBe(false)
      expect(gateway.verifyBindToken(other, token)).toBe(false)
    }
    // As text it would be the client id.
    expect(gateway.verifyBindToken([clientId], token)).toBe(false)
    expect(gateway.verifyBindToken(clientId, token)).toBe(true)
  })

  it('is neither made nor verified without a secret', () => {
    const open = new GatewayClient()
    const signedByAnybody = `9999999999.${createHmac('sha256', '').update(`gatewayworker-bind:${clientId}:9999999999`).digest('hex')}`
    const noSecretKey = expect.objectContaining({
      advice: expect.stringContaining('--secret-key'),
      code: 'NO_SECRET_KEY',
    })
    expect(() => open.createBindToken(clientId)).toThrow(noSecretKey)
    expect(() => open.verifyBindToken(clientId, signedByAnybody)).toThrow(noSecretKey)
    expect(() => open.verifyBindToken(clientId, '')).toThrow(noSecretKey)
  })

  it('is not made for what is no client id, or no time', () => {
    expect(() => gateway.createBindToken('1')).toThrow(expect.objectContaining({ code: 'BAD_CLIENT_ID' }))
    for (const ttlS of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => gateway.createBindToken(clientId, { ttlS })).toThrow(RangeError)
    }
  })
})

const hasPhp = spawnSync('php', ['-v']).status === 0
const title = "the README's PHP"

describe.skipIf(!hasPhp)(hasPhp ? title : `${title} (skipped: php is not installed, apt-get install php-cli)`, () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [verify, create] = Array.from(readme.matchAll(/^```php\n(.*?)^```/gms), ([, code]) => code!)

  /** What the lines leave in a variable. */
  function run(lines: string, result: string, given: Record<string, string>): unknown {
    const setUp =
      'class Gateway { public static $secretKey; } extract(json_decode($argv[1], true)); Gateway::$secretKey = $secretKey;'
    const code = `${setUp}\n${lines}\necho json_encode($${result});`
    // -n: PHP's own defaults, whatever the machine's php.ini says.
    return JSON.parse(
      execFileSync('php', ['-n', '-r', code, JSON.stringify({ clientId, secretKey, ...given })]).toString(),
    )
  }
  const isGood = (token: string, given = {}) => run(verify!, 'isGood', { token, ...given })

  it('takes a good token', () => {
    expect(isGood(gateway.createBindToken(clientId))).toBe(true)
  })

  it('refuses all others', () => {
    const token = gateway.createBindToken(clientId)
    expect(isGood(token, { clientId: clientId.replace('a', 'b') })).toBe(false)
    expect(isGood(token, { secretKey: 'another' })).toBe(false)
    for (const other of ['', '.', 'x', token.replace('.', ''), `${token}0`, `1${token}`])
      expect(isGood(other)).toBe(false)
    vi.useFakeTimers({ now: Date.now() - 60_000 })
    const expired = gateway.createBindToken(clientId)
    vi.useRealTimers()
    expect(isGood(expired)).toBe(false)
  })

  it('makes tokens that are good here', () => {
    const token = run(create!, 'token', {})
    expect(gateway.verifyBindToken(clientId, token)).toBe(true)
    expect(gateway.verifyBindToken(clientId.replace('a', 'b'), token)).toBe(false)
  })
})
