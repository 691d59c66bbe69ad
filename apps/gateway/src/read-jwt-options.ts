import type { JwtOptions } from '@gatewayworker/gateway'
import { type OptionValues, readSecretFile, readText, UsageError } from '@gatewayworker/supervisor'
import type { gatewayOptions } from './gateway-options.ts'

/** How clients prove who they are; undefined where they need not. */
export function readJwtOptions(options: OptionValues<typeof gatewayOptions>): JwtOptions | undefined {
  const { 'jwt-key-file': keyFile, 'jwt-secret': secret, 'jwt-secret-file': secretFile } = options
  const given = [keyFile, secret, secretFile].filter((value) => value !== undefined).length
  if (given === 0) return undefined
  if (given > 1) throw new UsageError('give one of --jwt-secret, --jwt-secret-file and --jwt-key-file')
  return {
    audience: options['jwt-audience'],
    clockToleranceS: options['jwt-clock-tolerance'],
    closeAtExpiry: options['jwt-close-at-expiry'],
    issuer: options['jwt-issuer'],
    publicKeys: keyFile && readText(keyFile),
    secret: secretFile === undefined ? secret : readSecretFile(secretFile),
    sources: options['jwt-from'],
  }
}
