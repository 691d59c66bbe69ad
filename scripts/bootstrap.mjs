// The first thing every npm script runs, with nothing but Node and npm on the machine: installs the dependencies when the
// lockfile is not the one that node_modules was made from, builds what changed, and goes on, in this same process, as the
// program named in its first argument.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const stampFile = join(root, 'node_modules/.gatewayworker-lockfile-hash')

/** Runs one set-up step and ends this process, with the step's own exit code, when it fails. */
function runStep(command, args) {
  const { error, status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

const lockfileHash = createHash('sha256')
  .update(readFileSync(join(root, 'pnpm-lock.yaml')))
  .digest('hex')
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== lockfileHash) {
  process.stderr.write(`Installing the dependencies with ${packageManager} …\n`)
  runStep('npx', ['--yes', packageManager, 'install', '--frozen-lockfile'])
  writeFileSync(stampFile, lockfileHash)
}
runStep(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', root])

const [program] = process.argv.splice(2, 1)
if (program !== undefined) {
  const file = resolve(root, program)
  process.argv[1] = file
  await import(pathToFileURL(file).href)
}
