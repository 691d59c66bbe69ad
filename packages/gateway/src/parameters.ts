import { type Frame, GatewayWorkerError } from '@gatewayworker/protocol'

/** The escapes and the ends of a text, and whole numbers of more digits than a number is sure to hold. */
const TEXT_MARK_OR_LONG_INTEGER = /\\.|"|(?<![\w.+-])-?\d{16,}(?![\w.])/gs

/** Reads the ext of a frame as JSON; whole numbers beyond 2^53, which PHP's uids may be, as texts. Throws BAD_PARAMETERS. */
export function readJson(frame: Frame): unknown {
  const text = frame.extText
  if (text === '') return null
  try {
    return JSON.parse(/\d{16}/.test(text) ? quoteLongIntegers(text) : text)
  } catch (cause) {
    throw new GatewayWorkerError('BAD_PARAMETERS', `the ext of command ${frame.command} is not JSON`, { cause })
  }
}

/** A member of a JSON object; undefined if it is none. */
export function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

/** The uids or groups of a list or map as PHP means them: numbers are their text, true is '1', false '0', null ''. Lists are skipped. */
export function readTexts(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value)
    .filter((item) => typeof item !== 'object' || item === null)
    .map((item) => (typeof item === 'boolean' ? String(Number(item)) : String(item ?? '')))
}

/** Connection ids that are the values of a list or map. */
export function readConnectionIds(value: unknown): number[] {
  return readTexts(value).map(Number)
}

/** Connection ids that are the keys of a map, as PHP sends those to leave out. */
export function readExcludedIds(value: unknown): ReadonlySet<number> {
  return new Set(typeof value === 'object' && value !== null ? Object.keys(value).map(Number) : [])
}

function quoteLongIntegers(json: string): string {
  let isInText = false
  return json.replace(TEXT_MARK_OR_LONG_INTEGER, (token) => {
    if (token === '"') isInText = !isInText
    return isInText || token.length < 16 ? token : `"${token}"`
  })
}

/** Whether PHP takes a uid or group for none (wire.md: falsy). */
export function isNobody(name: string): boolean {
  return name === '' || name === '0'
}
