import { readFileSync } from 'node:fs'
import { UsageError } from './usage-error.ts'

/** The text of a file that people edit: without the byte order mark that Windows' editors begin with, in UTF-8 or the UTF-16 of PowerShell. */
export function readText(file: string): string {
  const bytes = readFileSync(file)
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return bytes.toString('utf16le', 2)
  return bytes.toString('utf8').replace(/^\ufeff/, '')
}

/** What a JSON file holds; a UsageError that names it when it holds none. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readText(path))
  } catch (error) {
    throw new UsageError(`${path} cannot be read as JSON: ${(error as Error).message}`)
  }
}
