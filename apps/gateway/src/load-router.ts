import type { Router } from '@gatewayworker/gateway'
import { type AppContext, UsageError } from '@gatewayworker/supervisor'

/** A built-in router's name as it is, or the function that a module exports as its default or under the name `router`. */
export async function loadRouter(
  router: string,
  { loadModule }: Pick<AppContext, 'loadModule'>,
): Promise<'least-connections' | 'random' | Router> {
  if (router === 'least-connections' || router === 'random') return router
  const module = (await loadModule(router)) as { default?: unknown; router?: unknown }
  const route = typeof module === 'function' ? module : (module.default ?? module.router)
  if (typeof route === 'function') return route as Router
  throw new UsageError(`--router ${router} must export a function (workers, client, command, body) => worker`)
}
