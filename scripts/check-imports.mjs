// The rules of the house: which package may import which, and which third-party library belongs to which. Prints every breach and
// ends with 1 if there is one.
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the sources of each folder may import of ours, and the third-party libraries that are theirs alone. */
const HOUSE = {
  'packages/protocol': { ours: [], libraries: ['msgpackr'] },
  'packages/register': { ours: ['protocol'], libraries: [] },
  'packages/gateway': { ours: ['protocol', 'register'], libraries: ['jose', 'ws'] },
  'packages/gateway-client': { ours: ['protocol', 'register'], libraries: [] },
  'packages/businessworker': { ours: ['protocol', 'gateway-client'], libraries: [] },
  'packages/supervisor': { ours: [], libraries: ['pidusage', 'pino', 'pino-pretty', 'string-width', 'tsx', 'yargs'] },
  'packages/doctor': { ours: ['protocol', 'register', 'supervisor'], libraries: [] },
  'apps/register': { ours: ['doctor', 'register', 'supervisor'], libraries: [] },
  'apps/gateway': { ours: ['doctor', 'gateway', 'supervisor'], libraries: [] },
  'apps/businessworker': { ours: ['businessworker', 'doctor', 'supervisor'], libraries: [] },
  // the whole: all apps as one cluster, and the chat as a demo
  'apps/gatewayworker': {
    ours: ['app-businessworker', 'app-chat', 'app-gateway', 'app-register', 'doctor', 'supervisor'],
    libraries: [],
  },
  // users: they import what a user would
  'apps/chat': { ours: ['businessworker', 'gateway-client'], libraries: [] },
  'apps/examples': { ours: ['businessworker', 'gateway-client'], libraries: ['express', 'express-session'] },
}

const root = fileURLToPath(new URL('..', import.meta.url))
const IMPORT = /\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)|\bimport\.meta\.resolve\('([^']+)'\)/gm
const SOURCE = /\.(ts|mts|js|mjs)$/
const breaches = []

for (const parent of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, parent))) {
    const folder = `${parent}/${name}`
    if (Object.hasOwn(HOUSE, folder)) checkFolder(folder)
    else breaches.push(`${folder}: no such folder in the house (scripts/check-imports.mjs)`)
  }
}

for (const breach of breaches) console.error(breach)
console.log(breaches.length === 0 ? 'Imports keep the rules of the house.' : `${breaches.length} imports break them.`)
process.exitCode = breaches.length === 0 ? 0 : 1

function checkFolder(folder) {
  const files = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && SOURCE.test(entry.name))
    .map((entry) => relative(join(root, folder), join(entry.parentPath, entry.name)))
    .filter((file) => !/^(dist|node_modules|test)\//.test(file))
  for (const file of files) {
    const text = readFileSync(join(root, folder, file), 'utf8')
    for (const match of text.matchAll(IMPORT)) {
      const reason = judge(folder, file, match.slice(1).find(Boolean))
      if (reason) breaches.push(`${folder}/${file}: ${reason}`)
    }
  }
}

function judge(folder, file, specifier) {
  const { ours, libraries } = HOUSE[folder]
  if (specifier.startsWith('node:')) return undefined
  if (builtinModules.includes(specifier)) return `write node:${specifier}`
  if (specifier.startsWith('.')) {
    const target = relative(join(root, folder), resolve(root, folder, dirname(file), specifier))
    return target.startsWith('..') ? `${specifier} leaves its package` : undefined
  }
  const [scope, name] = specifier.split('/')
  if (scope === '@gatewayworker') return ours.includes(name) ? undefined : `may not import ${specifier}`
  const library = specifier.startsWith('@') ? `${scope}/${name}` : scope
  return libraries.includes(library) ? undefined : `may not import ${specifier}`
}
