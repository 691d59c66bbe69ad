import { GatewayWorkerError, isClientId } from '@gatewayworker/protocol'

/** Whole numbers mean the same as their decimal text; '', '0' and 0 are no uid, nor is text with half of a surrogate pair. */
export type Uid = string | number
/** Whole numbers mean the same as their decimal text; '', '0' and 0 are no group, nor is text with half of a surrogate pair. */
export type Group = string | number
/** A plain object of plain data, at every depth: what JSON can hold, undefined, bigints of 64 bits, Dates, and bytes (Buffer, Uint8Array). */
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
  if (Array.isArray(uids)) return Array.from(uids, checkUid)
  throw new GatewayWorkerError('BAD_UID', `${describe(uids)} is no list of uids`)
}

/** Groups as texts, or BAD_GROUP. */
export function checkGroups(groups: readonly Group[]): string[] {
  if (Array.isArray(groups)) return Array.from(groups, checkGroup)
  throw new GatewayWorkerError('BAD_GROUP', `${describe(groups)} is no list of groups`)
}

/** One or many, or none, as a list without holes. */
export function toList<T extends string | number>(oneOrMany: T | readonly T[] | null | undefined): readonly T[] {
  if (oneOrMany == null) return []
  return Array.isArray(oneOrMany) ? [...oneOrMany] : [oneOrMany as T]
}

/** One or many uids or groups as a list without holes. None at all is a mistake, which their check finds. */
export function toTargets<T extends string | number>(oneOrMany: T | readonly T[]): readonly T[] {
  return Array.isArray(oneOrMany) ? [...oneOrMany] : [oneOrMany as T]
}

function asName(name: unknown): string | undefined {
  if (typeof name !== 'string' && !Number.isSafeInteger(name)) return undefined
  const text = String(name)
  // Half of a surrogate pair would be U+FFFD on the wire, and two uids one.
  return text === '' || text === '0' || !text.isWellFormed() ? undefined : text
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return typeof value === 'object' && value !== null ? `an object of type ${value.constructor?.name}` : String(value)
}
