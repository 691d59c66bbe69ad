import type { InitializeHook, ResolveHook } from 'node:module'
import type { MessagePort } from 'node:worker_threads'

/** What `module.register` hands over to the thread that Node 20 runs hooks in. */
export interface ResolveHookData {
  port: MessagePort
  provide: Readonly<Record<string, string>>
}

/** One import that was resolved: the importing module's URL and the imported one's. */
export interface ResolvedImport {
  parentUrl: string | undefined
  url: string
}

let hookData: ResolveHookData

/** Called by Node with the data of `module.register`. */
export const initialize: InitializeHook<ResolveHookData> = (data) => {
  hookData = data
}

/** Called by Node for each import: gives the running copy of a provided package, and reports every other import. */
export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  const provided = hookData.provide[specifier]
  if (provided !== undefined) return { format: 'module', shortCircuit: true, url: provided }
  const resolved = await nextResolve(specifier, context)
  hookData.port.postMessage({ parentUrl: context.parentURL, url: resolved.url } satisfies ResolvedImport)
  return resolved
}
