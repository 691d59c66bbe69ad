import type { IncomingHttpHeaders } from 'node:http'
import { type AddressSet, plainAddress } from './address-set.ts'

/** The header in which proxies say for whom they ask; only one can be believed, since a proxy leaves the other as the client wrote it. */
export type ForwardingHeader = 'forwarded' | 'x-forwarded-for'

/** Where a connection comes from. */
export interface Peer {
  /** A plain address (see plainAddress). */
  address: string
  /** 0 where it is not known. */
  port: number
}

/** Who asks, if `peer`, which carries the request, is a trusted proxy: read from the right up to the first that is not trusted. */
export function forwardedPeer(
  peer: Peer,
  headers: IncomingHttpHeaders,
  header: ForwardingHeader,
  trusted: AddressSet,
): Peer {
  if (!trusted.has(peer.address)) return peer
  const hops = header === 'forwarded' ? readForwarded(headers) : readForwardedFor(headers)
  let client = peer
  for (const hop of hops.toReversed()) {
    const next = readHop(hop)
    if (next === undefined) return client // unknown, or hidden: nothing that is left of it can be believed
    client = next
    if (!trusted.has(client.address)) return client
  }
  return client
}

function readForwardedFor(headers: IncomingHttpHeaders): string[] {
  return String(headers['x-forwarded-for'] ?? '').split(',')
}

function readForwarded({ forwarded = '' }: IncomingHttpHeaders): string[] {
  return splitOutsideQuotes(forwarded, ',').map((element) => {
    const pairs = splitOutsideQuotes(element, ';').map((pair) => pair.trim())
    const value = pairs.find((pair) => /^for=/i.test(pair))?.slice('for='.length) ?? ''
    return value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
  })
}

/** The parts between marks (RFC 7239 section 4); a quote without an end takes all the rest, so that nobody's own words are read as a proxy's. */
function splitOutsideQuotes(text: string, mark: string): string[] {
  const parts: string[] = []
  let from = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') isQuoted = !isQuoted
    else if (text[at] === '\\' && isQuoted) at += 1
    else if (text[at] === mark && !isQuoted) {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  return [...parts, text.slice(from)]
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; undefined for anything else. */
function readHop(text: string): Peer | undefined {
  const hop = text.trim()
  const [, bracketed, dotted, port] = /^(?:\[([^\]]*)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(hop) ?? []
  const address = plainAddress(bracketed ?? dotted ?? hop)
  return address === undefined
    ? undefined
    : { address, port: port === undefined || Number(port) > 65535 ? 0 : Number(port) }
}
