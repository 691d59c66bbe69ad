import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fixture } from './program.ts'

interface Loaded {
  error?: { message: string; name: string; stack: string }
  files: string[]
  isRunningCopy?: [boolean, boolean]
  later?: boolean
  thrownAt?: string
  value?: unknown
}

let directory: string

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'load-module-')))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
}

/** Loads a file of the user's directory in a process of its own, whose working directory is elsewhere. */
async function load(name: string): Promise<Loaded> {
  const { stdout } = await promisify(execFile)(process.execPath, [fixture('load.mjs'), join(directory, name)])
  const loaded = JSON.parse(stdout) as Loaded
  return { ...loaded, files: loaded.files.map((file) => relative(directory, file)).sort() }
}

const events = `import { Gateway } from '@gatewayworker/businessworker'
import { Colour, viaClient } from './other'
import near from 'near'
import data from './data.json'

interface Something {
  a: number
}

enum Local {
  A = 1,
  B,
}
export const viaWorker = Gateway
export { viaClient }
export const value = [Colour.Red, Local.B, near.name, data.n]
export const later = () => import('@gatewayworker/businessworker')
export function fail(): Something {
  throw new Error('on line 19')
}
`
const other = `import { Gateway } from '@gatewayworker/gateway-client'
export enum Colour {
  Red = 'red',
}
export const viaClient: unknown = Gateway
`
const beside = {
  'data.json': '{"n": 5}',
  'node_modules/near/index.js': 'exports.name = "near"',
  'node_modules/near/package.json': '{"name": "near"}',
}

describe.each([
  ['no package.json', undefined],
  ['"type": "commonjs"', '{"type": "commonjs"}'],
  ['"type": "module"', '{"type": "module"}'],
])('with %s', (_title, packageJson) => {
  beforeEach(() => {
    write({ ...beside, 'other.ts': other, ...(packageJson && { 'package.json': packageJson }) })
  })

  test.each(['Events.ts', 'Events.mts'])(
    '%s gets the running copy, its own imports and its own lines',
    async (name) => {
      write({ [name]: events })
      const loaded = await load(name)
      expect(loaded.error).toBeUndefined()
      expect(loaded).toMatchObject({ isRunningCopy: [true, true], later: true, value: ['red', 2, 'near', 5] })
      expect(loaded.thrownAt).toContain(`${join(directory, name)}:19:`)
      expect(loaded.files).toEqual([name, 'data.json', 'other.ts'].sort())
    },
  )

  test('Events.cts gets it too', async () => {
    write({
      'Events.cts': `import worker = require('@gatewayworker/businessworker')
import { viaClient } from './other'
type Something = { a: number }
export const viaWorker = worker.Gateway
export { viaClient }
export function fail(): Something { throw new Error('on line 6') }
`,
    })
    const loaded = await load('Events.cts')
    expect(loaded.error).toBeUndefined()
    expect(loaded.isRunningCopy).toEqual([true, true])
    expect(loaded.thrownAt).toContain(`${join(directory, 'Events.cts')}:6:`)
    expect(loaded.files).toEqual(['Events.cts', 'other.ts'])
  })

  test.each(['Events.cjs', ...(packageJson?.includes('module') ? [] : ['Events.js'])])(
    '%s gets it too',
    async (name) => {
      write({
        'helper.cjs': "exports.viaClient = require('@gatewayworker/gateway-client').Gateway",
        [name]: `const { Gateway } = require('@gatewayworker/businessworker')
exports.viaWorker = Gateway
exports.viaClient = require('./helper.cjs').viaClient
exports.later = () => import('@gatewayworker/businessworker')`,
      })
      expect(await load(name)).toEqual({ files: [name, 'helper.cjs'].sort(), isRunningCopy: [true, true], later: true })
    },
  )

  test.each(['Events.mjs', ...(packageJson?.includes('module') ? ['Events.js'] : [])])(
    '%s gets it too',
    async (name) => {
      write({
        'helper.mjs': "export { Gateway as viaClient } from '@gatewayworker/gateway-client'",
        [name]: `import { Gateway } from '@gatewayworker/businessworker'
export { viaClient } from './helper.mjs'
export const viaWorker = await Gateway`,
      })
      expect(await load(name)).toEqual({ files: [name, 'helper.mjs'].sort(), isRunningCopy: [true, true] })
    },
  )
})

test.each(['Broken.ts', 'Broken.mts', 'Broken.cts', 'Broken.js', 'Broken.mjs', 'Broken.cjs'])(
  'a syntax error in %s is one message with file, line, column and the code',
  async (name) => {
    write({ 'package.json': '{"type": "module"}', [name]: 'const fine = 1\n\tconst x = {;\n' })
    const { error } = await load(name)
    expect(error?.name).toBe('UsageError')
    expect(error?.message.split('\n')).toEqual([
      expect.stringMatching(/Broken\.\w+:2:13: \w+/),
      '  2 | \tconst x = {;',
      '      \t           ^',
    ])
    expect(error?.message.startsWith(join(directory, name))).toBe(true)
  },
)

/** One process for all, because there are many. */
async function loadAll(names: readonly string[]): Promise<Record<string, unknown>> {
  const loader = new URL('../dist/module-loader.js', import.meta.url).href
  const code = `
const { ModuleLoader } = await import(${JSON.stringify(loader)})
const values = {}
for (const name of process.argv.slice(1)) {
  const module = await new ModuleLoader().load(${JSON.stringify(directory)} + '/' + name).catch((error) => ({ value: error.message }))
  values[name] = module.value
}
console.log(JSON.stringify(values))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code, ...names])
  return JSON.parse(stdout)
}

/** A file's name and its code, with types where it has them. */
type Kind = [name: string, code: (types: string) => string]

describe('every kind of module that Node knows, with a byte order mark and without', () => {
  const esm = (types: string) => `import { sep } from 'node:path'\nexport const value${types} = sep`
  const cjs = (types: string) =>
    `const { sep } = require('node:path')\nconst value${types} = sep\nexports.value = value`
  const packages = { commonjs: '{"type": "commonjs"}', module: '{"type": "module"}', none: '{}' }

  test.each(Object.keys(packages) as (keyof typeof packages)[])('"type": %s', async (type) => {
    const isModule = type === 'module'
    const esmByType: Kind[] = [['esm.js', esm]]
    const cjsByType: Kind[] = [
      ['cjs.js', cjs],
      ['cjs.ts', cjs],
    ]
    const codes: Kind[] = [
      ['esm.ts', esm],
      ['esm.mts', esm],
      ['esm.cts', esm],
      ['esm.mjs', esm],
      ['cjs.cts', cjs],
      ['cjs.cjs', cjs],
      // Node itself takes no ES module from a package that says "commonjs".
      ...(isModule ? esmByType : cjsByType),
    ]
    const files = codes.flatMap(([name, code]) => {
      const text = code(/ts$/.test(name) ? ': string' : '')
      return [
        [name, text],
        [`bom-${name}`, `\ufeff${text}`],
      ]
    })
    write({ ...Object.fromEntries(files), 'package.json': packages[type] })
    const names = files.map(([name]) => name!)
    expect(await loadAll(names)).toEqual(Object.fromEntries(names.map((name) => [name, '/'])))
  })
})

describe('a tsconfig.json', () => {
  test.each([
    ['extends what is not installed', '{"extends": "@tsconfig/node20/tsconfig.json"}', /File '@tsconfig.*' not found/],
    ['extends itself', '{"extends": "./tsconfig.json"}', /Circularity detected/],
  ])('that %s is named, and what to do', async (_what, tsconfig, why) => {
    write({ 'Events.mts': 'export const value: number = 1', 'tsconfig.json': tsconfig })
    const { error } = await load('Events.mts')
    expect(error!.name).toBe('UsageError')
    expect(error!.message).toMatch(why)
    expect(error!.message.startsWith(`${join(directory, 'tsconfig.json')} cannot be used: `)).toBe(true)
    expect(error!.message).toMatch(/put another tsconfig\.json nearer to your files$/)
  })

  test.each([
    ['begins with a byte order mark', '\ufeff{"compilerOptions": {"paths": {"near": ["./other.mts"]}}}'],
    ['has comments and commas', '{"compilerOptions": {"paths": {"near": ["./other.mts"]},}, /* all */}'],
  ])('may be one that %s', async (_what, tsconfig) => {
    const files = { 'Events.mts': "export { value } from 'near'", 'other.mts': 'export const value: number = 7' }
    write({ ...files, 'tsconfig.json': tsconfig })
    expect((await load('Events.mts')).value).toBe(7)
  })

  test('may be a folder, which says nothing', async () => {
    mkdirSync(join(directory, 'tsconfig.json'))
    write({ 'Events.mts': 'export const value: number = 7' })
    expect((await load('Events.mts')).value).toBe(7)
  })
})

test('a package.json with a byte order mark is read', async () => {
  write({ 'Events.js': 'export const value = 7', 'package.json': '\ufeff{"type": "module"}' })
  expect((await load('Events.js')).value).toBe(7)
})

test('a package.json with a byte order mark is read for TypeScript too, or named where tsx cannot, on Node 20', async () => {
  write({ 'Events.ts': 'export const value: number = 7', 'package.json': '\ufeff{"type": "module"}' })
  const { error, value } = await load('Events.ts')
  const named = `${join(directory, 'package.json')} cannot be read: save it as JSON, in UTF-8 without a byte order mark`
  expect(value ?? error!.message).toBe(process.versions.node.startsWith('20.') ? named : 7)
})

test('a package.json that is none is named', async () => {
  write({ 'Events.js': '', 'package.json': '{"type": ' })
  const { error } = await load('Events.js')
  expect(error!.message).toMatch(/package\.json cannot be read as JSON: /)
})

test('a module that is gone is named', async () => {
  expect((await load('Events.js')).error!.message).toBe(`${join(directory, 'Events.js')} is gone`)
})

test('a syntax error in an imported file names that file', async () => {
  write({ 'Events.mts': "import './broken.mts'", 'broken.mts': 'let 1' })
  const { error, files } = await load('Events.mts')
  expect(error?.message).toMatch(/^.*broken\.mts:1:5: /)
  expect(files).toEqual(['Events.mts', 'broken.mts'])
})

test('top-level await in CommonJS says what to do', async () => {
  write({ 'Events.ts': 'export const value = await 1' })
  expect((await load('Events.ts')).error?.message).toMatch(/Events\.ts:1:22: .*name it \.mts/)
})

test.each(['Events.mts', 'Events.cts'])('a missing import of %s names both files', async (name) => {
  write({ [name]: "import { a } from './missing'\nexport const value = a" })
  expect((await load(name)).error?.message).toMatch(new RegExp(`missing' imported from .*${name}$`))
})

test('an error that the module throws keeps its stack', async () => {
  write({ 'Events.mts': "type A = 1\n\nthrow new Error('at load')" })
  const { error } = await load('Events.mts')
  expect(error).toMatchObject({ message: 'at load', name: 'Error' })
  expect(error?.stack).toContain(`${join(directory, 'Events.mts')}:3:`)
})

test.each(['Events.mts', 'Events.cts'])(
  'legacy decorators work in %s with the tsconfig.json beside it',
  async (name) => {
    write({
      [name]: `const seen: string[] = []
function note(_target: object, key: string, _index: number) { seen.push(key) }
class A { method(@note a: number) { return a } }
export const value = [seen, typeof A]`,
      'tsconfig.json': '{"compilerOptions": {"experimentalDecorators": true}}',
    })
    expect((await load(name)).value).toEqual([['method'], 'function'])
  },
)
