import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'

/** What a token says, once it has been proved. */
export type Claims = JWTPayload

/** Whom a token is about; '' for nobody. It is a text by the book, and a number in many sites' tokens. */
export function subjectOf({ sub }: { sub?: unknown }): string {
  return typeof sub === 'string' || typeof sub === 'number' ? String(sub) : ''
}

/** How tokens are proved. One of `publicKeys` and `secret` is given. */
export interface TokenOptions {
  /** What `aud` must be, or hold. */
  audience?: string
  /** How far the clocks of issuer and gateway may be apart, in seconds. */
  clockToleranceS?: number
  /** What `iss` must be. */
  issuer?: string
  /** A public key or certificate as PEM (RSA: RS256, P-256: ES256), or several as a JSON Web Key Set. */
  publicKeys?: string
  /** For HS256, of at least 32 bytes. */
  secret?: string
}

/** How far clocks may be apart, in seconds. */
export const DEFAULT_CLOCK_TOLERANCE_S = 5
/** Who is let in as nobody could be taken for anybody. */
const NO_SUBJECT = "the token's sub is neither text nor a number"
/** RFC 7518 section 3.2: less can be guessed offline by anyone who has a token. */
const MIN_SECRET_BYTES = 32

interface Keys {
  /** What these keys can prove, whatever the token claims to be signed with. */
  algorithms: string[]
  key: KeyObject | Uint8Array | ReturnType<typeof createLocalJWKSet>
}

/** A token that does not prove anything, and why, in words for its bearer. */
export class InvalidToken extends Error {
  override readonly name = 'InvalidToken'
}

/** Proves JSON Web Tokens. */
export class TokenVerifier {
  readonly #keys: Keys
  readonly #options: TokenOptions

  /** Throws a TypeError if there are no keys that it can use. */
  constructor(options: TokenOptions) {
    this.#keys = readKeys(options)
    this.#options = options
  }

  /** What the token says; rejects with InvalidToken. */
  async verify(token: string): Promise<Claims> {
    const { algorithms, key } = this.#keys
    const { audience, clockToleranceS = DEFAULT_CLOCK_TOLERANCE_S, issuer } = this.#options
    const expected = { algorithms, audience, clockTolerance: clockToleranceS, issuer }
    try {
      const { payload } = await verifyWith(token, key, expected)
      if (!['number', 'string', 'undefined'].includes(typeof payload.sub)) throw new InvalidToken(NO_SUBJECT)
      return payload
    } catch (cause) {
      throw cause instanceof InvalidToken ? cause : new InvalidToken(describe(cause), { cause })
    }
  }
}

/** A token that does not say which of several keys it is signed with may be signed with any of those that fit. */
async function verifyWith(
  token: string,
  key: Keys['key'],
  expected: JWTVerifyOptions,
): Promise<{ payload: JWTPayload }> {
  if (typeof key !== 'function') return jwtVerify(token, key, expected)
  try {
    return await jwtVerify(token, key, expected)
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const fitting of error) {
      const verified = await jwtVerify(token, fitting, expected).catch((failure: unknown) => {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
      })
      if (verified !== undefined) return verified
    }
    throw error
  }
}

function describe(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `the token's ${error.claim} is not the right one`
  return 'the token is not valid'
}

function readKeys({ publicKeys, secret }: TokenOptions): Keys {
  if ((publicKeys === undefined) === (secret === undefined))
    throw new TypeError('tokens need a secret or public keys, and not both')
  if (publicKeys === undefined) return readSecret(secret!)
  return publicKeys.trimStart().startsWith('{') ? readKeySet(publicKeys) : readPem(publicKeys)
}

function readSecret(secret: string): Keys {
  const key = Buffer.from(secret)
  if (key.length >= MIN_SECRET_BYTES) return { algorithms: ['HS256'], key }
  throw new TypeError(`a token secret of ${key.length} bytes can be guessed: HS256 wants at least ${MIN_SECRET_BYTES}`)
}

function readPem(pem: string): Keys {
  if (isPrivateKey(pem)) throw new TypeError('this is a private key: whoever checks tokens needs the public one only')
  const key = parsePem(pem)
  if (key.asymmetricKeyType === 'rsa') return { algorithms: ['RS256'], key }
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return { algorithms: ['ES256'], key }
  throw new TypeError('the key must be one of RSA (RS256) or of the curve P-256 (ES256)')
}

function parsePem(pem: string): KeyObject {
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw new TypeError('there is no public key or certificate as PEM, and no JSON Web Key Set', { cause })
  }
}

function isPrivateKey(pem: string): boolean {
  try {
    createPrivateKey(pem)
    return true
  } catch {
    return false
  }
}

/** The algorithms of the kinds of keys in the set; the token's own `kid` and `alg` choose the key, which must be of the kind. */
function readKeySet(json: string): Keys {
  try {
    const set = JSON.parse(json) as JSONWebKeySet
    const hasRsa = set.keys.some(({ kty }) => kty === 'RSA')
    const hasP256 = set.keys.some(({ crv, kty }) => kty === 'EC' && crv === 'P-256')
    const algorithms = [hasRsa ? 'RS256' : '', hasP256 ? 'ES256' : ''].filter(Boolean)
    if (algorithms.length > 0) return { algorithms, key: createLocalJWKSet(set) }
  } catch (cause) {
    throw new TypeError('this is no JSON Web Key Set', { cause })
  }
  throw new TypeError('the JSON Web Key Set has no RSA key (RS256), and none of the curve P-256 (ES256)')
}
