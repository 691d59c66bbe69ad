import { isIPv4, isIPv6 } from 'node:net'
import { plainAddress } from './address-set.ts'
import type { Peer } from './forwarded.ts'

/** What a proxy says before anything else on a connection. */
export interface ProxyHeader {
  /** How many bytes it has. */
  length: number
  /** For whom the connection is; undefined where the proxy means itself (LOCAL), or cannot tell (UNKNOWN, a UNIX socket). */
  peer: Peer | undefined
}

/** The longest that is taken; what proxies add about TLS and clouds needs a few hundred bytes. */
export const MAX_PROXY_HEADER_BYTES = 4096

const SIGNATURE_V1 = Buffer.from('PROXY ')
const SIGNATURE_V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
/** The longest line of version 1, its end included. */
const MAX_LINE_BYTES = 107
const FIXED_BYTES_V2 = 16
const TCP4 = 0x11
const TCP6 = 0x21
/** Bytes of an address in version 2; a UNIX socket's is a path. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 1: 4, 2: 16, 3: 108 }
const LINE = /^PROXY (?:UNKNOWN(?: .*)?|TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))$/

/**
 * Reads the header of the PROXY protocol, version 1 or 2, at the beginning of what a connection has brought so far; undefined while it is
 * not complete. Throws a RangeError as soon as it cannot become one.
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (startsLike(bytes, SIGNATURE_V1)) return parseLine(bytes)
  if (startsLike(bytes, SIGNATURE_V2)) return parseBinary(bytes)
  throw new RangeError('it does not begin with a PROXY header')
}

/** Whether bytes begin with a signature, as far as there are any. */
function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length)
  return bytes.compare(signature, 0, length, 0, length) === 0
}

function parseLine(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\r\n')
  if (end === -1) {
    if (bytes.length >= MAX_LINE_BYTES) throw new RangeError('the line of its PROXY header is too long')
    return undefined
  }
  const match = LINE.exec(bytes.toString('latin1', 0, end))
  if (match === null) throw new RangeError('its PROXY header is malformed')
  const [, version, from = '', to = '', ...ports] = match
  const length = end + 2
  if (version === undefined) return { length, peer: undefined }
  const isAddress = version === '4' ? isIPv4 : isIPv6
  if (!isAddress(from) || !isAddress(to) || ports.some((port) => Number(port) > 65535)) {
    throw new RangeError('its PROXY header has an address that is none')
  }
  return { length, peer: { address: plainAddress(from)!, port: Number(ports[0]) } }
}

function parseBinary(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length < FIXED_BYTES_V2) return undefined
  const [versionAndCommand = 0, family = 0] = bytes.subarray(SIGNATURE_V2.length)
  const length = FIXED_BYTES_V2 + bytes.readUInt16BE(SIGNATURE_V2.length + 2)
  const isLocal = versionAndCommand === 0x20
  if (!isLocal && versionAndCommand !== 0x21) throw new RangeError('its PROXY header has an unknown version or command')
  if (length > MAX_PROXY_HEADER_BYTES) throw new RangeError('its PROXY header is too long')
  const addressBytes = ADDRESS_BYTES[family >> 4] ?? 0
  const portBytes = family === TCP4 || family === TCP6 ? 2 : 0
  if (!isLocal && length < FIXED_BYTES_V2 + 2 * (addressBytes + portBytes)) {
    throw new RangeError('its PROXY header is shorter than its addresses')
  }
  if (bytes.length < length) return undefined
  if (isLocal || portBytes === 0) return { length, peer: undefined }
  const from = bytes.subarray(FIXED_BYTES_V2, FIXED_BYTES_V2 + addressBytes)
  return { length, peer: { address: readAddress(from), port: bytes.readUInt16BE(FIXED_BYTES_V2 + 2 * addressBytes) } }
}

function readAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16))
  return plainAddress(groups.join(':'))!
}
