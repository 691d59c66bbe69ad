import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { UsageError } from './usage-error.ts'

/**
 * The error of loading a module as one that is worth showing: code that does not parse becomes a UsageError with file, line,
 * column and the line itself. Everything else keeps its stack, which points into the user's code. `files` are the loaded ones.
 */
export function describeModuleError(error: unknown, files: readonly string[]): unknown {
  if (!(error instanceof Error)) return error
  const typescript = describeTransformError(error)
  if (typescript !== undefined) return new UsageError(typescript)
  if (/^(?:ERR_)?MODULE_NOT_FOUND$/.test((error as NodeJS.ErrnoException).code ?? '')) return describeNotFound(error)
  const [, packageFile] = /^Error parsing: (.+)$/.exec(error.message) ?? []
  if (packageFile !== undefined)
    return new UsageError(`${packageFile} cannot be read: save it as JSON, in UTF-8 without a byte order mark`)
  if (!(error instanceof SyntaxError)) return error
  const javascript = describeDecorated(error.stack ?? '') ?? checkSyntax(files)
  return new UsageError(javascript ?? `${error.name}: ${error.message}`)
}

/** esbuild's errors, through tsx: a heading, then lines of `FILE:LINE:COLUMN: ERROR: TEXT`, the column from 0. */
function describeTransformError(error: Error): string | undefined {
  const { groups } = /^(?<file>.+?):(?<line>\d+):(?<column>\d+): ERROR: (?<text>.+)$/m.exec(error.message) ?? {}
  if (error.name !== 'TransformError' || groups === undefined) return undefined
  // tsx hands .mts and .cts over under the name .ts.
  const candidates = ['.ts', '.mts', '.cts'].map((extension) => groups.file!.replace(/\.ts$/, extension))
  const file = candidates.find((candidate) => existsSync(candidate)) ?? groups.file!
  const hint = /^Top-level await/.test(groups.text!)
    ? ' (this file is CommonJS: name it .mts, or set "type": "module" in its package.json)'
    : ''
  const column = Number(groups.column) + 1
  return `${file}:${groups.line}:${column}: ${groups.text}${hint}${frame(file, Number(groups.line), column)}`
}

function frame(file: string, line: number, column: number): string {
  const code = existsSync(file) ? readFileSync(file, 'utf8').split(/\r?\n/)[line - 1] : undefined
  if (code === undefined) return ''
  const gutter = `  ${line} | `
  // Tabs stay tabs, so that the mark stands where the eye expects it.
  const indent = code.slice(0, column - 1).replaceAll(/[^\t]/g, ' ')
  return `\n${gutter}${code}\n${' '.repeat(gutter.length)}${indent}^`
}

/** Node writes `FILE:LINE`, the line and a mark below it in front of a syntax error, where it knows them. */
function describeDecorated(output: string): string | undefined {
  const { groups } =
    /^(?:file:\/\/)?(?<file>\/.+|[A-Za-z]:.+):(?<line>\d+)\n(?<code>.*)\n(?<mark>[ \t]*)\^+\s+(?<text>\w*Error.*)/m.exec(
      output,
    ) ?? {}
  if (groups === undefined) return undefined
  const column = groups.mark!.length + 1
  return `${groups.file}:${groups.line}:${column}: ${groups.text}${frame(groups.file!, Number(groups.line), column)}`
}

/** Node does not say where in a JavaScript ES module the mistake is, but `node --check` does. */
function checkSyntax(files: readonly string[]): string | undefined {
  for (const file of files.toReversed()) {
    if (!/\.[cm]?js$/.test(file)) continue
    const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' })
    const description = describeDecorated(stderr)
    if (description !== undefined) return description
  }
  return undefined
}

function describeNotFound(error: Error): UsageError {
  const [what, ...stack] = error.message.split('\n')
  const importer = stack.find((line) => line.startsWith('- '))?.slice(2)
  return new UsageError(importer === undefined ? what : `${what} imported from ${importer}`)
}
