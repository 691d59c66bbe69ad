import { type Frame, GatewayWorkerError } from '@gatewayworker/protocol'

/** Reads the ext of a frame as JSON. Throws BAD_PARAMETERS. */
export function readJson(frame: Frame): unknown {
  const text = frame.extText
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new GatewayWorkerError('BAD_PARAMETERS', `the ext of command ${frame.command} is not JSON`, { cause })
  }
}

/** A member of a JSON object; undefined if it is none. */
export function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

/** The strings and numbers of a list or map as strings: PHP ints mean the same as their text. Anything else is skipped. */
export function readTexts(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value)
    .filter((item) => typeof item === 'string' || typeof item === 'number')
    .map(String)
}

/** Connection ids that are the values of a list or map. */
export function readConnectionIds(value: unknown): number[] {
  return readTexts(value).map(Number)
}

/** Connection ids that are the keys of a map, as PHP sends those to leave out. */
export function readExcludedIds(value: unknown): ReadonlySet<number> {
  return new Set(typeof value === 'object' && value !== null ? Object.keys(value).map(Number) : [])
}

/** Whether PHP takes a uid or group for none (wire.md: falsy). */
export function isNobody(name: string): boolean {
  return name === '' || name === '0'
}
