// Checks what systemd, Docker and Kubernetes are given, as far as that goes without them: node scripts/deploy/lint.mjs [FOLDER]. Prints every
// mistake, and ends with 1 if there is one.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DCLinter } from 'dclint'
import { validate } from 'dockerfile-utils'
import { checkManifests } from './check-manifests.mjs'

/** What `systemd-analyze security` may find, from 0 to 100: a line of hardening that is lost shows. */
const HIGHEST_EXPOSURE = 25

const folder = process.argv[2] ?? import.meta.dirname
const mistakes = [
  ...checkUnit(),
  ...checkDockerfile(),
  ...checkCompose(),
  ...checkManifests(join(folder, 'kubernetes')),
]
for (const mistake of mistakes) console.error(mistake)
console.log(mistakes.length === 0 ? 'The files for deployment are in order.' : `${mistakes.length} mistakes in them.`)
process.exitCode = mistakes.length === 0 ? 0 : 1

function checkUnit() {
  const unit = join(folder, 'systemd/gatewayworker.service')
  // Its exit code is 0 for a key that it does not know.
  const { output: verified } = run('systemd-analyze', ['--man=no', 'verify', unit])
  const { output, status } = run('systemd-analyze', [
    'security',
    '--offline=true',
    `--threshold=${HIGHEST_EXPOSURE}`,
    unit,
  ])
  const exposure = status === 0 ? [] : [`${unit} is exposed to more than ${HIGHEST_EXPOSURE}:\n${output}`]
  return verified === '' ? exposure : [verified, ...exposure]
}

function checkDockerfile() {
  const path = join(folder, 'Dockerfile')
  return validate(readFileSync(path, 'utf8')).map(({ message, range }) => `${path}:${range.start.line + 1}: ${message}`)
}

/** By the schema of the compose specification, and by those rules of the linter that it takes for errors: the others are about order. */
function checkCompose() {
  const linter = new DCLinter({ debug: false, exclude: [], quiet: true, rules: {} })
  const messages = linter.lintFiles([join(folder, 'compose.yaml')], false).flatMap(({ messages }) => messages)
  return messages.filter(({ type }) => type === 'error').map(({ line, message }) => `compose.yaml:${line}: ${message}`)
}

function run(command, args) {
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return error === undefined
    ? { output: `${stdout}${stderr}`.trim(), status }
    : { output: `${command} could not be run: ${error.message}`, status: 1 }
}
