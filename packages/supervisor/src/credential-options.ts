import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { OptionTable, OptionValues } from './define-app.ts'
import { file, type OptionType, text } from './option-types.ts'
import { readText } from './read-text.ts'
import { isOpenToOthers, readSecretFile, secretFile } from './secret-file.ts'
import { UsageError } from './usage-error.ts'

/** Which PHP peers the secret is told: none, those on loopback, or all; the flag without a value means all. */
const allowLegacy: OptionType<boolean | 'loopback'> = {
  hint: 'off|loopback|all',
  valueOptional: true,
  parse(raw) {
    if (raw === 'loopback') return raw
    if (raw === true || raw === 'all' || raw === 'true' || raw === '1') return true
    if (raw === false || raw === 'off' || raw === 'false' || raw === '0') return false
    throw new UsageError(`must be one of off, loopback, all, not ${JSON.stringify(raw)}`)
  },
}

/** What a process shows to the others of its cluster, and wants to be shown by them: options that every kind of process has. */
export const credentialOptions = {
  'allow-legacy': {
    default: 'off',
    describe:
      'Send the secret in clear text to PHP gateways and registers on this host, or on any; all also lets PHP peers in',
    type: allowLegacy,
  },
  'secret-key': { default: '', describe: 'What every process of the cluster must know', type: text },
  'secret-key-file': { describe: 'A file with the secret in one line', type: secretFile },
  'tls-ca': { describe: 'CA whose certificates the processes of the cluster show to each other', type: file },
  'tls-cert': { describe: 'Certificate of that CA for this process: links and registers are encrypted', type: file },
  'tls-key': { describe: 'Key of the certificate', type: file },
} satisfies OptionTable

/**
 * The credentials among the values of options; files are read. A UsageError when a file is missing, certificates do not belong together, or
 * the secret is given twice. With a `log` it says that others can read the secret.
 */
export function readCredentials(
  options: OptionValues<typeof credentialOptions>,
  log?: { warn(details: object, message: string): void },
): {
  allowLegacy: boolean | 'loopback'
  secretKey: string
  tls: { ca: string; cert: string; key: string } | undefined
} {
  return { allowLegacy: options['allow-legacy'], secretKey: readSecretKey(options, log), tls: readTlsFiles(options) }
}

function readSecretKey(
  options: OptionValues<typeof credentialOptions>,
  log?: { warn(details: object, message: string): void },
): string {
  const { 'secret-key': secretKey, 'secret-key-file': file } = options
  if (file === undefined) return secretKey
  if (secretKey !== '') {
    throw new UsageError(
      'the secret is given twice: give --secret-key (GW_SECRET_KEY) or --secret-key-file, and not both',
    )
  }
  if (isOpenToOthers(file)) log?.warn({ file }, 'every user of this host can read the secret key file: chmod 600 it')
  return readSecretFile(file)
}

function readTlsFiles({ 'tls-ca': ca, 'tls-cert': cert, 'tls-key': key }: OptionValues<typeof credentialOptions>) {
  if (ca === undefined && cert === undefined && key === undefined) return undefined
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new UsageError('--tls-cert, --tls-key and --tls-ca belong together: give all three, or none')
  }
  const tls = { ca: readText(ca), cert: readText(cert), key: readText(key) }
  try {
    new X509Certificate(tls.ca) // of which Node says nothing otherwise
    createSecureContext(tls)
  } catch (error) {
    throw new UsageError(`--tls-cert, --tls-key and --tls-ca cannot be used together: ${(error as Error).message}`)
  }
  return tls
}

/** For what binds a port for the cluster: makes a UsageError of its refusal to do so. */
export function explainRefusal(error: Error & { advice?: string; code?: string }): never {
  if (error.code === 'PUBLIC_WITHOUT_SECRET' || error.code === 'WEAK_SECRET')
    throw new UsageError(`${error.message}. ${error.advice}`)
  throw error
}
