import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { OptionTable, OptionValues } from './define-app.ts'
import { file, flag, text } from './option-types.ts'
import { UsageError } from './usage-error.ts'

/** What a process shows to the others of its cluster, and wants to be shown by them: options that every kind of process has. */
export const credentialOptions = {
  'allow-legacy': {
    default: false,
    describe: "Let PHP's processes on other hosts in, and be let in by them, with the secret in clear",
    type: flag,
  },
  'secret-key': { default: '', describe: 'What every process of the cluster must know', type: text },
  'tls-ca': { describe: 'CA whose certificates the processes of the cluster show to each other', type: file },
  'tls-cert': { describe: 'Certificate of that CA for this process: links and registers are encrypted', type: file },
  'tls-key': { describe: 'Key of the certificate', type: file },
} satisfies OptionTable

/** The credentials among the values of options; the certificates are read. A UsageError when a file is missing, or they do not belong together. */
export function readCredentials(options: OptionValues<typeof credentialOptions>): {
  allowLegacy: boolean
  secretKey: string
  tls: { ca: Buffer; cert: Buffer; key: Buffer } | undefined
} {
  return { allowLegacy: options['allow-legacy'], secretKey: options['secret-key'], tls: readTlsFiles(options) }
}

function readTlsFiles({ 'tls-ca': ca, 'tls-cert': cert, 'tls-key': key }: OptionValues<typeof credentialOptions>) {
  if (ca === undefined && cert === undefined && key === undefined) return undefined
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new UsageError('--tls-cert, --tls-key and --tls-ca belong together: give all three, or none')
  }
  const tls = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }
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
  if (error.code === 'PUBLIC_WITHOUT_SECRET') throw new UsageError(`${error.message}. ${error.advice}`)
  throw error
}
