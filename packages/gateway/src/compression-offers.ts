import type { IncomingMessage } from 'node:http'
// @ts-expect-error its types are older than what it exports
import { extension, PerMessageDeflate } from 'ws'

const NAME = 'permessage-deflate'
const WINDOW = 'server_max_window_bits'
/** The window with which we compress, where the client does not want a smaller one: 32 KB a client in place of 128. */
const WINDOW_BITS = 13
/** zlib takes 9 in place of it for what has no header, and that client could not read it. */
const TOO_SMALL = 8

/** Of each parameter all values. */
type Offer = Record<string, (string | true)[]>

/**
 * Leaves those offers of compression in a request that can be taken; the others are declined (RFC 7692 section 5.1). False if what it has is no
 * list of extensions, which fails the handshake (RFC 6455 section 9.1).
 */
export function readOffers({ headers }: IncomingMessage): boolean {
  const header = headers['sec-websocket-extensions']
  delete headers['sec-websocket-extensions']
  if (header === undefined || header.trim() === '') return true
  let offers: readonly Offer[]
  try {
    offers = (extension.parse(header) as Record<string, Offer[]>)[NAME] ?? []
  } catch {
    return false
  }
  const taken = offers.filter(canTake).map((offer) => {
    const [bits] = offer[WINDOW] ?? []
    return Number(bits) < WINDOW_BITS ? offer : { ...offer, [WINDOW]: [String(WINDOW_BITS)] }
  })
  if (taken.length > 0) headers['sec-websocket-extensions'] = extension.format({ [NAME]: taken })
  return true
}

function canTake(offer: Offer): boolean {
  try {
    new PerMessageDeflate({ isServer: true }).accept([structuredClone(offer)])
    return Number(offer[WINDOW]?.[0]) !== TOO_SMALL
  } catch {
    return false
  }
}
