import Module, { type ResolveFnOutput, type ResolveHookContext } from 'node:module'
import { pathToFileURL } from 'node:url'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import type { ResolvedImport } from './resolve-hook.ts'

type ResolveHookSync = (
  specifier: string,
  context: ResolveHookContext,
  nextResolve: (specifier: string, context: ResolveHookContext) => ResolveFnOutput,
) => ResolveFnOutput

/** What Node has and @types/node lacks: the hooks of Node >= 22.15, and the CommonJS loader's two steps, which loaders wrap. */
interface ModuleInternals {
  _load(request: string, parent: NodeModule | undefined, isMain: boolean): unknown
  _resolveFilename(request: string, parent: NodeModule | undefined, isMain: boolean, options?: object): string
  registerHooks?(hooks: { resolve: ResolveHookSync }): void
}

const internals = Module as unknown as ModuleInternals

/**
 * Makes every later `import` and `require` of a specifier in `provide` yield the module at its URL, which must be an ES module,
 * and reports all others. Returns a function that reports at once what is still on its way from the hooks' thread.
 */
export async function installModuleHooks(
  provide: Readonly<Record<string, string>>,
  onResolved: (resolved: ResolvedImport) => void,
): Promise<() => void> {
  const drain = hookImport(provide, onResolved)
  await hookRequire(provide, (resolved) => {
    drain()
    onResolved(resolved)
  })
  return drain
}

function hookImport(
  provide: Readonly<Record<string, string>>,
  onResolved: (resolved: ResolvedImport) => void,
): () => void {
  if (internals.registerHooks !== undefined) {
    internals.registerHooks({
      resolve(specifier, context, nextResolve) {
        const provided = provide[specifier]
        if (provided !== undefined) return { format: 'module', shortCircuit: true, url: provided }
        const resolved = nextResolve(specifier, context)
        onResolved({ parentUrl: context.parentURL, url: resolved.url })
        return resolved
      },
    })
    return () => {}
  }
  const { port1, port2 } = new MessageChannel()
  Module.register('./resolve-hook.js', {
    data: { port: port2, provide },
    parentURL: import.meta.url,
    transferList: [port2],
  })
  port1.on('message', onResolved)
  port1.unref()
  return () => {
    for (let item = receiveMessageOnPort(port1); item !== undefined; item = receiveMessageOnPort(port1))
      onResolved(item.message)
  }
}

/** The hooks above do not see every `require`, and tsx would compile an ES module that is required into a second copy of it. */
async function hookRequire(
  provide: Readonly<Record<string, string>>,
  onResolved: (resolved: ResolvedImport) => void,
): Promise<void> {
  const namespaces = new Map<string, unknown>()
  for (const [specifier, url] of Object.entries(provide)) namespaces.set(specifier, await import(url))

  const { _load: load, _resolveFilename: resolveFilename } = internals
  internals._load = function providedLoad(request, ...rest) {
    return namespaces.get(request) ?? load.call(this, request, ...rest)
  }
  internals._resolveFilename = function reportedResolveFilename(request, parent, ...rest) {
    const filename = resolveFilename.call(this, request, parent, ...rest)
    if (parent?.filename) onResolved({ parentUrl: toUrl(parent.filename), url: toUrl(filename) })
    return filename
  }
}

/** Built-in modules resolve to their bare names, which stay as they are. */
function toUrl(filename: string): string {
  return filename.startsWith('node:') || !/[\\/]/.test(filename) ? filename : pathToFileURL(filename).href
}
