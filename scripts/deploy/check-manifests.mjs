import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

const tsconfig = {
  compilerOptions: {
    module: 'esnext',
    moduleResolution: 'bundler',
    noEmit: true,
    paths: { 'kubernetes-types/*': [`${modules}/kubernetes-types/*`] },
    skipLibCheck: true,
    strict: true,
    types: [],
  },
  include: ['*.ts'],
}

/**
 * What is wrong with the Kubernetes manifests of a folder. Each document becomes an object literal of the type of its kind, for the TypeScript
 * compiler to check: unlike Kubernetes' OpenAPI schemas that knows a misspelt field.
 */
export function checkManifests(folder) {
  const workspace = mkdtempSync(join(tmpdir(), 'gatewayworker-manifests-'))
  try {
    writeFileSync(join(workspace, 'tsconfig.json'), JSON.stringify(tsconfig))
    const broken = readdirSync(folder).flatMap((name) => writeLiterals(workspace, folder, name))
    const { status, stdout } = spawnSync(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', workspace], {
      cwd: workspace,
      encoding: 'utf8',
    })
    return status === 0 ? broken : [...broken, stdout.trim()]
  } finally {
    rmSync(workspace, { recursive: true })
  }
}

/** Writes a module for each document of a file, NAME.N.ts; returns the mistakes in its YAML. */
function writeLiterals(workspace, folder, name) {
  const path = join(folder, name)
  return parseAllDocuments(readFileSync(path, 'utf8')).flatMap((document, at) => {
    const mistakes = [...document.errors, ...document.warnings]
    if (mistakes.length > 0) return mistakes.map(({ message }) => `${path}: ${message}`)
    const { apiVersion, kind, ...rest } = document.toJS()
    const literal = JSON.stringify({ apiVersion, kind, ...rest }, null, 2)
    writeFileSync(
      join(workspace, `${name}.${at + 1}.ts`),
      `import type { ${kind} } from 'kubernetes-types/${typesOf(apiVersion)}'\nexport const manifest: ${kind} = ${literal}\n`,
    )
    return []
  })
}

/** `v1` is core/v1, `networking.k8s.io/v1` networking/v1. */
function typesOf(apiVersion) {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion]
  return `${group.replace(/\..*/, '')}/${version}`
}
