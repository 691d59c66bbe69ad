import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { InvalidToken, type TokenOptions, TokenVerifier } from '../../src/access/token-verifier.ts'

const SECRET = 'a secret of thirty-two bytes ...'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = (key: KeyObject) => key.export({ format: 'pem', type: key.type === 'public' ? 'spki' : 'pkcs8' }) as string
const keySet = JSON.stringify({
  keys: [
    { ...(await exportJWK(rsa.publicKey)), kid: 'r' },
    { ...(await exportJWK(p256.publicKey)), kid: 'e' },
  ],
})

function sign(alg: string, key: KeyObject | Uint8Array, claims: Record<string, unknown> = {}, kid?: string) {
  return new SignJWT({ sub: 'ann', exp: inSeconds(60), ...claims }).setProtectedHeader({ alg, kid }).sign(key)
}

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

const verify = (options: TokenOptions, token: string) => new TokenVerifier(options).verify(token)

describe('is proved with', () => {
  test.each<[string, TokenOptions, () => Promise<string>]>([
    ['a secret', { secret: SECRET }, () => sign('HS256', Buffer.from(SECRET))],
    ['an RSA key', { publicKeys: pem(rsa.publicKey) }, () => sign('RS256', rsa.privateKey)],
    ['a key of P-256', { publicKeys: pem(p256.publicKey) }, () => sign('ES256', p256.privateKey)],
    ['the RSA key of a set', { publicKeys: keySet }, () => sign('RS256', rsa.privateKey, {}, 'r')],
    ['the key of P-256 of a set', { publicKeys: keySet }, () => sign('ES256', p256.privateKey, {}, 'e')],
  ])('%s', async (_what, options, token) => {
    expect(await verify(options, await token())).toMatchObject({ sub: 'ann' })
  })
})

describe('a token that names no key of a set', () => {
  const keys = [rsa, ...Array.from({ length: 2 }, () => generateKeyPairSync('rsa', { modulusLength: 2048 }))]
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const publicKeys = async () =>
    JSON.stringify({ keys: await Promise.all(keys.map(({ publicKey }) => exportJWK(publicKey))) })

  test('is proved by whichever of those that fit has signed it', async () => {
    for (const { privateKey } of keys) {
      expect(await verify({ publicKeys: await publicKeys() }, await sign('RS256', privateKey))).toMatchObject({
        sub: 'ann',
      })
    }
  })

  test('is refused where none of them has, or where it has expired', async () => {
    const options = { publicKeys: await publicKeys() }
    await expect(verify(options, await sign('RS256', stranger.privateKey))).rejects.toThrow(/not valid/)
    const expired = await sign('RS256', keys[2]!.privateKey, { exp: inSeconds(-60) })
    await expect(verify(options, expired)).rejects.toThrow(/expired/)
  })
})

test.each([{ id: 5 }, ['ann'], true, null])('a sub that is %j is none, and lets nobody in', async (sub) => {
  const token = await sign('HS256', Buffer.from(SECRET), { sub })
  await expect(verify({ secret: SECRET }, token)).rejects.toThrow(InvalidToken)
  await expect(verify({ secret: SECRET }, token)).rejects.toThrow(/sub/)
})

describe('is refused', () => {
  test.each<[string, TokenOptions, () => Promise<string> | string, RegExp]>([
    ['that is no token', { secret: SECRET }, () => 'x', /not valid/],
    ['that is signed by nobody', { secret: SECRET }, () => new UnsecuredJWT({ sub: 'ann' }).encode(), /not valid/],
    ['that another secret has signed', { secret: SECRET }, () => sign('HS256', Buffer.alloc(32)), /not valid/],
    // The public key is known to everybody: it must not do as a secret.
    [
      'that the public key has signed',
      { publicKeys: pem(rsa.publicKey) },
      () => sign('HS256', Buffer.from(pem(rsa.publicKey))),
      /not valid/,
    ],
    [
      'of another algorithm of the same key',
      { publicKeys: pem(rsa.publicKey) },
      () => sign('PS256', rsa.privateKey),
      /not valid/,
    ],
    [
      'of a stronger algorithm than was agreed upon',
      { secret: SECRET },
      () => sign('HS512', Buffer.from(SECRET)),
      /not valid/,
    ],
    [
      'of a key that is not in the set',
      { publicKeys: keySet },
      () => sign('RS256', rsa.privateKey, {}, 'x'),
      /not valid/,
    ],
    [
      'that names one key of the set and is signed with another',
      { publicKeys: keySet },
      () => sign('ES256', p256.privateKey, {}, 'r'),
      /not valid/,
    ],
    [
      'that has expired',
      { secret: SECRET },
      () => sign('HS256', Buffer.from(SECRET), { exp: inSeconds(-10) }),
      /expired/,
    ],
    [
      'that is not valid yet',
      { secret: SECRET },
      () => sign('HS256', Buffer.from(SECRET), { nbf: inSeconds(60) }),
      /nbf/,
    ],
    [
      'for somebody else',
      { secret: SECRET, audience: 'chat' },
      () => sign('HS256', Buffer.from(SECRET), { aud: 'shop' }),
      /aud/,
    ],
    ['for nobody in particular', { secret: SECRET, audience: 'chat' }, () => sign('HS256', Buffer.from(SECRET)), /aud/],
    [
      'by somebody else',
      { secret: SECRET, issuer: 'us' },
      () => sign('HS256', Buffer.from(SECRET), { iss: 'them' }),
      /iss/,
    ],
  ])('one %s', async (_what, options, token, reason) => {
    const verified = verify(options, await token())
    await expect(verified).rejects.toThrow(InvalidToken)
    await expect(verified).rejects.toThrow(reason)
  })
})

test('clocks may differ a little', async () => {
  const token = await sign('HS256', Buffer.from(SECRET), { exp: inSeconds(-10) })
  expect(await verify({ secret: SECRET, clockToleranceS: 30 }, token)).toMatchObject({ sub: 'ann' })
})

test.each<[string, TokenOptions, RegExp]>([
  ['no keys', {}, /a secret or public keys/],
  ['both', { publicKeys: keySet, secret: SECRET }, /not both/],
  ['a secret that can be guessed', { secret: 'secret' }, /at least 32/],
  ['a private key', { publicKeys: pem(rsa.privateKey) }, /private key/],
  ['a key of another curve', { publicKeys: pem(generateKeyPairSync('ed25519').publicKey) }, /RSA .*P-256/],
  ['what is no key', { publicKeys: 'x' }, /no public key/],
  ['what is no key set', { publicKeys: '{"keys"' }, /no JSON Web Key Set/],
  ['an empty key set', { publicKeys: '{"keys":[]}' }, /no RSA key/],
])('%s is refused at once', (_what, options, reason) => {
  expect(() => new TokenVerifier(options)).toThrow(reason)
})
