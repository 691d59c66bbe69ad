import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describeModuleError } from './module-error.ts'
import { installModuleHooks } from './module-hooks.ts'
import { readJson } from './read-text.ts'
import type { ResolvedImport } from './resolve-hook.ts'
import { statsOf } from './stats-of.ts'
import { UsageError } from './usage-error.ts'

/** How a ModuleLoader is made; both may be left out. */
export interface ModuleLoaderOptions {
  /** Called once for each local file that becomes part of the loaded modules, at any time; npm packages are left out. */
  onLoad?: (file: string) => void
  /** Specifiers whose importers get the module at this URL, an ES module that this process runs already. */
  provide?: Readonly<Record<string, string>>
}

/**
 * Loads modules that users wrote, TypeScript through tsx and JavaScript natively, from anywhere on disk. CommonJS files
 * are required and ES modules imported, so that both get what their format allows.
 */
export class ModuleLoader {
  readonly #files = new Set<string>()
  readonly #onLoad: (file: string) => void
  readonly #provide: Readonly<Record<string, string>>
  #reportPending: (() => void) | undefined

  constructor({ onLoad = () => {}, provide = {} }: ModuleLoaderOptions = {}) {
    this.#onLoad = onLoad
    this.#provide = provide
  }

  /** The namespace of an ES module, or the exports of a CommonJS one; a mistake in the code's syntax is a UsageError. */
  async load(file: string): Promise<unknown> {
    if (!existsSync(file)) throw new UsageError(`${file} is gone`)
    const entry = realpathSync(file)
    this.#addFile(entry)
    if (/\.[cm]?tsx?$/.test(entry)) await registerTypeScript(entry)
    // After tsx, because the hooks that were registered last are asked first.
    this.#reportPending ??= await installModuleHooks(this.#provide, (resolved) => this.#onResolved(resolved))
    try {
      return isCommonJs(entry) ? createRequire(entry)(entry) : await import(pathToFileURL(entry).href)
    } catch (error) {
      this.#reportPending()
      throw describeModuleError(error, [...this.#files])
    }
  }

  #onResolved({ parentUrl, url }: ResolvedImport): void {
    // Only what hangs together with the loaded modules: this process imports things of its own, too.
    if (parentUrl === undefined || !this.#files.has(toFile(parentUrl) ?? '')) return
    const file = toFile(url)
    if (file !== undefined && !/[\\/]node_modules[\\/]/.test(file)) this.#addFile(file)
  }

  #addFile(file: string): void {
    if (this.#files.has(file)) return
    this.#files.add(file)
    this.#onLoad(file)
  }
}

/** A file URL's path without the query that loaders add, tsx sometimes within the path. */
function toFile(url: string): string | undefined {
  return url.startsWith('file:') ? fileURLToPath(url.replace(/(?:[?#]|%3F).*$/i, '')) : undefined
}

/** Node's own rule, which tsx follows for TypeScript. */
function isCommonJs(file: string): boolean {
  if (/\.c[jt]s$/.test(file)) return true
  if (/\.m[jt]s$/.test(file)) return false
  const packageFile = findUp(file, 'package.json')
  return packageFile === undefined || (readJson(packageFile) as { type?: unknown } | null)?.type !== 'module'
}

function findUp(from: string, name: string): string | undefined {
  const directory = dirname(from)
  const candidate = join(directory, name)
  if (statsOf(candidate)?.isFile()) return candidate
  return directory === from ? undefined : findUp(directory, name)
}

let typeScriptRegistered: Promise<void> | undefined

/** Teaches `import` and `require` TypeScript, for the whole process, with the settings of the tsconfig.json nearest to the file. */
function registerTypeScript(file: string): Promise<void> {
  typeScriptRegistered ??= registerTsx(findUp(file, 'tsconfig.json'))
  return typeScriptRegistered
}

async function registerTsx(tsconfig: string | undefined): Promise<void> {
  const [esm, cjs] = await Promise.all([import('tsx/esm/api'), import('tsx/cjs/api')])
  // The CommonJS half has no parameter for it; without the variable it would take the one of the working directory.
  const { TSX_TSCONFIG_PATH: previous } = process.env
  if (tsconfig !== undefined) process.env.TSX_TSCONFIG_PATH = tsconfig
  try {
    cjs.register()
    esm.register({ tsconfig: tsconfig ?? false })
  } catch (error) {
    // What it extends may be a package for development that is not installed here.
    const way = 'correct it, or put another tsconfig.json nearer to your files'
    throw new UsageError(`${tsconfig} cannot be used: ${(error as Error).message.replace(/\.$/, '')}; ${way}`)
  } finally {
    if (previous === undefined) delete process.env.TSX_TSCONFIG_PATH
    else process.env.TSX_TSCONFIG_PATH = previous
  }
}
