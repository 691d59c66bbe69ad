import type { Codec } from '@gatewayworker/protocol'
import type { ClientConnection } from './client-connection.ts'
import type { Hub } from './hub.ts'
import { memberOf, readConnectionIds, readTexts } from './parameters.ts'

/** What SELECT can tell of a client. */
const FIELDS: Record<string, (client: ClientConnection, codec: Codec) => unknown> = {
  groups: (client) => new Map(Array.from(client.groups ?? [], (group) => [group, group])),
  session: (client, codec) => client.sessionIn(codec),
  uid: (client) => client.uid ?? null,
}

/** Connection id → session bytes in a codec, empty if there is none. */
export function sessionsOf(clients: Iterable<ClientConnection>, codec: Codec): Map<number, Buffer> {
  return new Map(Array.from(clients, (client) => [client.connectionId, client.sessionIn(codec)]))
}

export function countByGroup(hub: Hub<ClientConnection>, groups: string[]): Map<string, number> {
  return new Map(groups.map((group) => [group, hub.membersOfGroup(group).size]))
}

/** SELECT {fields, where}: connection id → field → value, of every client that any key of `where` names, or of all without one. */
export function select(hub: Hub<ClientConnection>, query: unknown, codec: Codec): Map<number, Map<string, unknown>> {
  const fields = readTexts(memberOf(query, 'fields')).filter((field) => Object.hasOwn(FIELDS, field))
  const rows = new Map<number, Map<string, unknown>>()
  for (const client of chosen(hub, memberOf(query, 'where'))) {
    if (rows.has(client.connectionId)) continue
    rows.set(client.connectionId, new Map(fields.map((field) => [field, FIELDS[field]!(client, codec)])))
  }
  return rows
}

function* chosen(hub: Hub<ClientConnection>, where: unknown): Iterable<ClientConnection> {
  if (typeof where !== 'object' || where === null || Object.keys(where).length === 0) {
    yield* hub.members()
    return
  }
  for (const group of readTexts(memberOf(where, 'groups'))) yield* hub.membersOfGroup(group)
  for (const uid of readTexts(memberOf(where, 'uid'))) yield* hub.membersOfUid(uid)
  for (const id of readConnectionIds(memberOf(where, 'connection_id'))) {
    const client = hub.get(id)
    if (client !== undefined) yield client
  }
}
