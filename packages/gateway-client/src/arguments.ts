import { GatewayWorkerError, isClientId } from '@gatewayworker/protocol'

/** Ints mean the same as their decimal text; '', '0' and 0 are no uid. */
export type Uid = string | number
/** Ints mean the same as their decimal text; '', '0' and 0 are no group. */
export type Group = string | number
/** What a client's session may hold: a plain object of values that msgpack can hold. */
export type Session = Record<string, unknown>

/** The client id, or BAD_CLIENT_ID. */
export function checkClientId(clientId: string): string {
  if (isClientId(clientId)) return clientId
  throw new GatewayWorkerError('BAD_CLIENT_ID', `${describe(clientId)} is no client id`)
}

/** The uid as text, or BAD_UID. */
export function checkUid(uid: Uid): string {
  const text = asName(uid)
  if (text === undefined) throw new GatewayWorkerError('BAD_UID', `${describe(uid)} is no uid`)
  return text
}

/** The group as text, or BAD_GROUP. */
export function checkGroup(group: Group): string {
  const text = asName(group)
  if (text === undefined) throw new GatewayWorkerError('BAD_GROUP', `${describe(group)} is no group`)
  return text
}

/** Uids as texts, or BAD_UID. */
export function checkUids(uids: readonly Uid[]): string[] {
  if (Array.isArray(uids)) return uids.map(checkUid)
  throw new GatewayWorkerError('BAD_UID', `${describe(uids)} is no list of uids`)
}

/** Groups as texts, or BAD_GROUP. */
export function checkGroups(groups: readonly Group[]): string[] {
  if (Array.isArray(groups)) return groups.map(checkGroup)
  throw new GatewayWorkerError('BAD_GROUP', `${describe(groups)} is no list of groups`)
}

/** One or many, or none, as a list. */
export function toList<T extends string | number>(oneOrMany: T | readonly T[] | null | undefined): readonly T[] {
  if (oneOrMany == null) return []
  return Array.isArray(oneOrMany) ? oneOrMany : [oneOrMany as T]
}

/** One or many uids or groups as a list. None at all is a mistake, which their check finds. */
export function toTargets<T extends string | number>(oneOrMany: T | readonly T[]): readonly T[] {
  return Array.isArray(oneOrMany) ? oneOrMany : [oneOrMany as T]
}

function asName(name: unknown): string | undefined {
  if (typeof name !== 'string' && !Number.isSafeInteger(name)) return undefined
  const text = String(name)
  return text === '' || text === '0' ? undefined : text
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return typeof value === 'object' && value !== null ? `an object of type ${value.constructor?.name}` : String(value)
}
