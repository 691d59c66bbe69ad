import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Address, formatAddress, parseAddress } from './address.ts'
import { printable } from './printable.ts'
import { UsageError } from './usage-error.ts'

/** How one option's value is written and read, wherever it comes from: flags and environment give text, a config file anything. */
export interface OptionType<T> {
  /** What stands for the value in --help; none for an option that is only switched on. */
  readonly hint?: string
  /** Whether it may be given several times. */
  readonly repeatable?: boolean
  /** Whether its flag may stand without a value, which is read as true. */
  readonly valueOptional?: boolean
  /** The value, or a UsageError whose message goes on from the option's name; relative files are relative to `baseDir`. */
  parse(raw: unknown, baseDir: string): T
}

/** Any text. */
export const text: OptionType<string> = {
  hint: 'TEXT',
  parse(raw) {
    if (typeof raw !== 'string') throw new UsageError('must be text')
    return raw
  },
}

/** A name for people and logs. */
export const name: OptionType<string> = {
  hint: 'TEXT',
  parse(raw, baseDir) {
    const written = text.parse(raw, baseDir).trim()
    if (written === '' || /\p{Cc}/u.test(written)) throw new UsageError(`must be a name, not ${JSON.stringify(raw)}`)
    return written
  },
}

/** A host name or IP address. */
export const host: OptionType<string> = {
  hint: 'HOST',
  parse(raw, baseDir) {
    const written = text.parse(raw, baseDir).trim()
    if (/^[^\s/[\]]+$/.test(written)) return written
    throw new UsageError(`must be a host name or IP address, not ${JSON.stringify(raw)}`)
  },
}

/** On or off. */
export const flag: OptionType<boolean> = {
  parse(raw) {
    const written = typeof raw === 'string' ? raw.trim().toLowerCase() : raw
    if (written === true || written === 'true' || written === '1') return true
    if (written === false || written === 'false' || written === '0') return false
    throw new UsageError(`must be true or false, not ${JSON.stringify(raw)}`)
  },
}

/** A whole number in a range, both ends included. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER, hint = 'NUMBER'): OptionType<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  return { hint, parse: (raw) => parseNumber(raw, min, max, Number.isSafeInteger, `a whole number ${range}`) }
}

/** A size in bytes, at least 1. */
export const bytes = integer(1, Number.MAX_SAFE_INTEGER, 'BYTES')

/** A TCP port; 0 means any free one. */
export const port = integer(0, 65535, 'PORT')

/** A duration in seconds, fractions allowed. */
export const seconds: OptionType<number> = {
  hint: 'SECONDS',
  parse: (raw) => parseNumber(raw, 0, 2_000_000, Number.isFinite, 'a number of seconds'),
}

/** A duration in seconds that is not 0. */
export const positiveSeconds: OptionType<number> = {
  hint: 'SECONDS',
  parse: (raw) => parseNumber(raw, 0.1, 2_000_000, Number.isFinite, 'a number of seconds of at least 0.1'),
}

/** One of a few words. */
export function oneOf<const Words extends readonly string[]>(...words: Words): OptionType<Words[number]> {
  return {
    hint: words.join('|'),
    parse(raw) {
      const written = typeof raw === 'string' ? raw.trim() : ''
      if (words.includes(written)) return written
      throw new UsageError(`must be one of ${words.join(', ')}, not ${JSON.stringify(raw)}`)
    },
  }
}

/** `HOST:PORT`. */
export const address: OptionType<Address> = {
  hint: 'HOST:PORT',
  parse: (raw, baseDir) => parseAddress(text.parse(raw, baseDir).trim()),
}

/** A register's `HOST:PORT`, or the URL of an etcd in place of one; its other parts are checked where it is used. */
export const registerAddress: OptionType<string> = {
  hint: 'HOST:PORT|etcd://HOST:PORT',
  parse(raw, baseDir) {
    const written = text.parse(raw, baseDir).trim()
    const isEtcd = /^etcds?:\/\//i.test(written)
    if (!isEtcd && !written.includes('@')) return formatAddress(parseAddress(written))
    // It may hold a password.
    if (isEtcd && URL.canParse(written) && new URL(written).hostname !== '') return written
    throw new UsageError('must be HOST:PORT, or etcd://HOST:PORT/CLUSTER')
  },
}

/** `SCHEME://HOST:PORT`, with one of these schemes. */
export function url<const Schemes extends readonly string[]>(
  ...schemes: Schemes
): OptionType<Address & { scheme: Schemes[number] }> {
  return {
    hint: 'SCHEME://HOST:PORT',
    parse(raw, baseDir) {
      const [, scheme = '', hostAndPort = ''] = /^([^:]*):\/\/([^/]*)\/?$/.exec(text.parse(raw, baseDir).trim()) ?? []
      if (!schemes.includes(scheme.toLowerCase())) {
        const example = `${schemes[0]}://0.0.0.0:7272`
        throw new UsageError(`must look like ${example}, not ${JSON.stringify(raw)}; it may be ${schemes.join(', ')}`)
      }
      return { ...parseAddress(hostAndPort), scheme: scheme.toLowerCase() }
    },
  }
}

/** `ws://…` or `wss://…`, what a page connects to. */
export const clientUrl: OptionType<URL> = {
  hint: 'wss://HOST/PATH',
  parse(raw, baseDir) {
    const written = text.parse(raw, baseDir).trim()
    if (!/^wss?:\/\//i.test(written) || !URL.canParse(written))
      throw new UsageError(`must look like wss://example.com/ws, not ${JSON.stringify(withoutSecrets(written))}`)
    return new URL(written)
  },
}

/** A file that exists, as its absolute path. */
export const file: OptionType<string> = {
  hint: 'FILE',
  parse(raw, baseDir) {
    const absolute = path.parse(raw, baseDir)
    const stats = statSync(absolute, { throwIfNoEntry: false })
    if (stats === undefined) throw new UsageError(`must name a file that exists, not ${printable(absolute)}`)
    if (!stats.isFile()) throw new UsageError(`must name a file, and ${printable(absolute)} is none`)
    accessSync(absolute, constants.R_OK)
    return absolute
  },
}

/** A file or folder that may not exist yet, as its absolute path. */
export const path: OptionType<string> = {
  hint: 'PATH',
  parse(raw, baseDir) {
    const written = text.parse(raw, baseDir)
    if (written.trim() === '' || written.includes('\0')) {
      throw new UsageError(`must be a path, not ${JSON.stringify(raw)}`)
    }
    return resolve(baseDir, written)
  },
}

/** Several values: a repeated flag, an array in a config file, comma-separated in the environment. */
export function list<T>(type: OptionType<T>): OptionType<T[]> {
  return {
    hint: type.hint,
    repeatable: true,
    parse(raw, baseDir) {
      const items = Array.isArray(raw)
        ? raw
        : typeof raw === 'string'
          ? raw.split(',').map((item) => item.trim())
          : [raw]
      return items.map((item) => type.parse(item, baseDir))
    },
  }
}

/** An address without what may be a password or token. */
function withoutSecrets(address: string): string {
  return address.replace(/\?.*$/s, '?…').replace(/^([^@]*\/\/)?.*@/s, '$1…@')
}

function parseNumber(
  raw: unknown,
  min: number,
  max: number,
  isRightKind: (value: number) => boolean,
  expected: string,
): number {
  const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw
  if (typeof value === 'number' && isRightKind(value) && value >= min && value <= max) return value
  throw new UsageError(`must be ${expected}, not ${JSON.stringify(raw)}`)
}
