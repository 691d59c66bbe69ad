import { encodeClientId, msgpack } from '@gatewayworker/protocol'
import type { Session } from './arguments.ts'
import type { Answer } from './gateway-pool.ts'
import type { PooledGateway } from './pooled-gateway.ts'

/** What SELECT can be asked for. */
export type Field = 'groups' | 'uid'

/** A client as SELECT tells of it; a field that was not asked for is empty. */
export interface Row {
  clientId: string
  groups: string[]
  uid: string | null
}

/** An answered list of connection ids as client ids. */
export function clientIdsOf(gateway: PooledGateway, connectionIds: unknown): string[] {
  return (connectionIds as number[]).map((id) => encodeClientId(gateway.key, id))
}

/** The rows of answers to SELECT. */
export function readRows(answers: Answer[]): Row[] {
  return answers.flatMap(({ gateway, value }) =>
    Array.from(value as Map<number, Map<string, unknown>>, ([id, fields]) => ({
      clientId: encodeClientId(gateway.key, id),
      groups: [...((fields.get('groups') as Map<string, string> | undefined)?.keys() ?? [])],
      uid: (fields.get('uid') as string | null | undefined) ?? null,
    })),
  )
}

/** The session that a gateway answered with. */
export function readSession(bytes: Uint8Array): Session {
  return bytes.length === 0 ? {} : (msgpack.decode(bytes) as Session)
}

/** Client id → session from answers that map connection ids to session bytes. */
export function readSessions(answers: Answer[]): Map<string, Session> {
  const sessions = new Map<string, Session>()
  for (const { gateway, value } of answers) {
    for (const [id, bytes] of value as Map<number, Uint8Array>) {
      sessions.set(encodeClientId(gateway.key, id), readSession(bytes))
    }
  }
  return sessions
}

export function readCount(answer: Answer | undefined): number {
  return (answer?.value as number | undefined) ?? 0
}

export function sumOf(answers: Answer[]): number {
  return answers.reduce((sum, answer) => sum + readCount(answer), 0)
}

/** Each name once, in the order of its first appearance. */
export function distinct(names: readonly (string | null)[]): string[] {
  return [...new Set(names)].filter((name) => name !== null)
}

export function lengths(lists: Map<string, string[]>): Map<string, number> {
  return new Map(Array.from(lists, ([key, list]) => [key, list.length]))
}
