import type { ClientConnection } from './client-connection.ts'
import type { Hub } from './hub.ts'

/** Which clients are asked for: those that fit all that is given, from `offset` on, at most `limit`. */
export interface ClientQuery {
  group?: string
  /** The client's address without its port. */
  ip?: string
  limit: number
  offset: number
  uid?: string
}

/** What is known of one client. */
export interface ClientRow {
  /** `IP:PORT` of the client, `[IP]:PORT` for IPv6. */
  address: string
  bytesIn: number
  bytesOut: number
  clientId: string
  /** How many groups it is in. */
  groups: number
  /** Since its last message. */
  idleMs: number
  /** Absent when it is bound to none. */
  uid?: string
  /** Host and label of the worker that serves it; absent when none does. */
  worker?: string
}

/** The clients that fit a query, in the order in which they came, and how many fit in all. */
export function listClients(hub: Hub<ClientConnection>, query: ClientQuery): { rows: ClientRow[]; total: number } {
  const { limit, offset } = query
  const rows: ClientRow[] = []
  let total = 0
  for (const client of candidates(hub, query)) {
    if (!fits(client, query)) continue
    if (total >= offset && rows.length < limit) rows.push(describe(client))
    total += 1
  }
  return { rows, total }
}

/** The fewest that all who fit are among. */
function candidates(hub: Hub<ClientConnection>, { group, uid }: ClientQuery): Iterable<ClientConnection> {
  if (uid !== undefined) return hub.membersOfUid(uid)
  return group === undefined ? hub.members() : hub.membersOfGroup(group)
}

function fits(client: ClientConnection, { group, ip }: ClientQuery): boolean {
  return (
    (group === undefined || client.groups?.has(group) === true) && (ip === undefined || client.remoteAddress === ip)
  )
}

function describe(client: ClientConnection): ClientRow {
  const { clientId, groups, lastMessageAt, origin, traffic, uid, worker } = client
  const { remoteAddress, remotePort } = origin
  const host = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress
  return {
    address: `${host}:${remotePort}`,
    bytesIn: traffic.bytesIn,
    bytesOut: traffic.bytesOut,
    clientId,
    groups: groups?.size ?? 0,
    idleMs: Math.round(performance.now() - lastMessageAt),
    uid,
    worker: worker?.key,
  }
}
