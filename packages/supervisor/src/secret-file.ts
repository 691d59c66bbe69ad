import { readFileSync, statSync } from 'node:fs'
import { type OptionType, path } from './option-types.ts'
import { UsageError } from './usage-error.ts'

/** Nobody has a secret of this size; something else was named. */
const MAX_BYTES = 64 * 1024
const OTHERS_CAN_READ = 0o004

/** A file that holds a secret and nothing else, as its absolute path. */
export const secretFile: OptionType<string> = {
  hint: 'FILE',
  parse(raw, baseDir) {
    const file = path.parse(raw, baseDir)
    readSecretFile(file)
    return file
  },
}

/** What stands in a file, without the line break at its end. A UsageError that goes on from the option's name if it is no secret. */
export function readSecretFile(file: string): string {
  const secret = read(file)
    .replace(/^\uFEFF/, '')
    .replace(/[\r\n]+$/, '')
  if (secret === '')
    throw new UsageError(`names ${file}, which is empty. \`openssl rand -hex 24 > ${file}\` writes a secret`)
  if (/[\r\n]/.test(secret))
    throw new UsageError(`names ${file}, which has more than one line. It must hold the secret and nothing else`)
  return secret
}

/** Whether every user of this host can read it. */
export function isOpenToOthers(file: string): boolean {
  return process.platform !== 'win32' && (statSync(file).mode & OTHERS_CAN_READ) !== 0
}

function read(file: string): string {
  try {
    const { size } = statSync(file)
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    const reason = (error as Error).message.replace(/^(\w+): ([^,]*),.*$/, '$2 ($1)')
    const wayOut = `Create it with \`openssl rand -hex 24 > ${file}\`, or make it readable for this user`
    throw new UsageError(`names ${file}, which cannot be read: ${reason}. ${wayOut}`)
  }
}
