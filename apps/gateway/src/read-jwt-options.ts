import { readFileSync } from 'node:fs'
import type { JwtOptions } from '@gatewayworker/gateway'
import { type OptionValues, UsageError } from '@gatewayworker/supervisor'
import type { gatewayOptions } from './gateway-options.ts'

/** How clients prove who they are; undefined where they need not. */
export function readJwtOptions(options: OptionValues<typeof gatewayOptions>): JwtOptions | undefined {
  const keyFile = options['jwt-key-file']
  const secret = options['jwt-secret']
  if (keyFile === undefined && secret === undefined) return undefined
  if (keyFile !== undefined && secret !== undefined) {
    throw new UsageError('give --jwt-secret or --jwt-key-file, and not both')
  }
  return {
    audience: options['jwt-audience'],
    clockToleranceS: options['jwt-clock-tolerance'],
    closeAtExpiry: options['jwt-close-at-expiry'],
    issuer: options['jwt-issuer'],
    publicKeys: keyFile && readFileSync(keyFile, 'utf8'),
    secret,
    sources: options['jwt-from'],
  }
}
