import { watchFile } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { SslOptions } from '@gatewayworker/gateway'
import { readText, UsageError } from '@gatewayworker/supervisor'
import { CLIENT_SCHEMES, type ClientScheme } from './client-schemes.ts'

/** How often it is looked whether a certificate was renewed, in milliseconds. */
const LOOK_EVERY_MS = 10_000

/** The files of --ssl-cert and --ssl-key. */
export interface SslFiles {
  cert: string
  key: string
  passphrase: string | undefined
}

/** The files that a scheme needs; a UsageError if there are too few of them, or too many. */
export function sslFilesFor(
  scheme: ClientScheme,
  cert: string | undefined,
  key: string | undefined,
  passphrase: string | undefined,
): SslFiles | undefined {
  if (!CLIENT_SCHEMES[scheme].ssl) {
    if (cert === undefined && key === undefined) return undefined
    throw new UsageError(`--ssl-cert and --ssl-key are of no use with --listen ${scheme}://…, which has no TLS`)
  }
  if (cert !== undefined && key !== undefined) return { cert, key, passphrase }
  throw new UsageError(`--listen ${scheme}://… needs --ssl-cert FILE and --ssl-key FILE`)
}

/** What the files hold; a UsageError if it cannot be used. */
export function readSslFiles({ cert, key, passphrase }: SslFiles): SslOptions {
  try {
    const ssl = { cert: readText(cert), key: readText(key), ...(passphrase !== undefined && { passphrase }) }
    createSecureContext(ssl)
    return ssl
  } catch (error) {
    throw new UsageError(`--ssl-cert ${cert} and --ssl-key ${key} cannot be used: ${(error as Error).message}`)
  }
}

/** Calls `onChange` when one of the files is another one; whoever renews them may put them there one after the other. */
export function watchSslFiles({ cert, key }: SslFiles, onChange: () => void): void {
  for (const file of [cert, key]) watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, onChange)
}
