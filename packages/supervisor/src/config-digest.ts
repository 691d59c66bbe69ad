import { createHash } from 'node:crypto'
import { isObject, readConfigFile } from './config-file.ts'

/** What a config file says, each value as a hash by its key as a user looks for it: `secretKey`, `gateways[0].listen`. */
export type ConfigDigest = Readonly<Record<string, string>>

/** A config file at some time. */
export interface DigestedConfig {
  digest: ConfigDigest
  path: string
}

/** Reads a config file; a UsageError if it cannot be. */
export async function digestConfigFile(
  path: string,
  provide: Readonly<Record<string, string>> | undefined,
): Promise<DigestedConfig> {
  return { digest: digestConfig(await readConfigFile(path, provide)), path }
}

/** The keys whose values differ; of a group that is there only once, its place in its list. */
export function changedKeys(before: ConfigDigest, now: ConfigDigest): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) => before[key] !== now[key])
  const isKnown = (digest: ConfigDigest, place: string) => Object.keys(digest).some((key) => key.startsWith(place))
  const named = keys.map((key) => {
    const place = /^.*?\[\d+\]/.exec(key)?.[0]
    return place === undefined || (isKnown(before, place) && isKnown(now, place)) ? key : place
  })
  return [...new Set(named)].sort()
}

export function digestConfig(settings: Record<string, unknown>): ConfigDigest {
  return Object.fromEntries(valuesIn(settings).map(([key, value]) => [key, hash(value)]))
}

/** Groups are lists of objects; anything else is one value. */
function valuesIn(settings: Record<string, unknown>, prefix = ''): [key: string, value: unknown][] {
  return Object.entries(settings).flatMap(([name, value]): [string, unknown][] => {
    const key = `${prefix}${name}`
    if (value === undefined) return []
    if (prefix !== '' || !Array.isArray(value) || value.length === 0 || !value.every(isObject)) return [[key, value]]
    return value.flatMap((group, at) => valuesIn(group, `${key}[${at}].`))
  })
}

/** No secret leaves the process, and none is kept twice. */
function hash(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => (typeof part === 'function' ? String(part) : part)) ?? String(value)
  return createHash('sha256').update(text).digest('base64')
}
