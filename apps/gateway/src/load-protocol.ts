import type { ClientProtocol, GatewayServerOptions } from '@gatewayworker/gateway'
import { type AppContext, UsageError } from '@gatewayworker/supervisor'
import { CLIENT_SCHEMES, type ClientScheme } from './client-schemes.ts'

/** What clients speak: what the scheme says, or what a module exports, by names, as its default or as static methods of that. */
export async function loadProtocol(
  scheme: ClientScheme,
  file: string | undefined,
  { loadModule }: Pick<AppContext, 'loadModule'>,
): Promise<NonNullable<GatewayServerOptions['protocol']>> {
  const { protocol } = CLIENT_SCHEMES[scheme]
  if (file === undefined) return protocol
  if (protocol !== 'tcp') throw new UsageError(`--protocol is for --listen tcp://… and ssl://…, not ${scheme}://…`)
  const module = (await loadModule(file)) as { default?: unknown }
  const own = (module.default ?? module) as Record<keyof ClientProtocol, unknown>
  for (const name of ['input', 'decode', 'encode'] as const) {
    if (typeof own[name] !== 'function') {
      throw new UsageError(`--protocol ${file} must export the functions input, decode and encode; it has no ${name}`)
    }
  }
  return own as ClientProtocol
}
