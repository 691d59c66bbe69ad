import { formatFloat } from './php-serialize.ts'
import { PhpLiteral } from './php-values.ts'

/**
 * A decoded PHP value as the JSON text that Workerman sends for it: PHP's `json_encode` with unescaped Unicode, so that slashes and
 * line separators are escaped, and maps keep PHP's order. What PHP refuses is told as JavaScript would: INF and NAN are null, and
 * bytes that are no UTF-8 are U+FFFD.
 */
export function toPhpJson(value: unknown): string {
  if (value === null || value === undefined || value instanceof PhpLiteral) return 'null'
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number') return Number.isFinite(value) ? formatFloat(value).toLowerCase() : 'null'
  if (typeof value !== 'object') return String(value)
  if (value instanceof Uint8Array) return quote(Buffer.from(value).toString())
  if (Array.isArray(value)) return `[${value.map(toPhpJson).join(',')}]`
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return `{${entries.map(([key, item]) => `${quote(String(key))}:${toPhpJson(item)}`).join(',')}}`
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/[/\u2028\u2029]/g, (char) =>
    char === '/' ? '\\/' : `\\u${char.charCodeAt(0).toString(16)}`,
  )
}
