import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from './temporary-folder.ts'

const deploy = fileURLToPath(new URL('../scripts/deploy', import.meta.url))

const hasSystemd = spawnSync('systemd-analyze', ['--version']).error === undefined
const suite = `the lint of scripts/deploy${hasSystemd ? '' : ' (skipped: systemd-analyze is not installed)'}`
if (!hasSystemd) console.warn(suite)

/** What it says of a copy in which the first `before` of a file is `after`. */
function lintWith(file: string, before: string, after: string): { code: number | null; errors: string } {
  const folder = temporaryFolder({})
  cpSync(deploy, folder.path('.'), { recursive: true })
  const text = readFileSync(folder.path(file), 'utf8')
  expect(text).toContain(before)
  folder.write(file, text.replace(before, after))
  const { status, stderr } = spawnSync(process.execPath, [`${deploy}/lint.mjs`, folder.path('.')], { encoding: 'utf8' })
  return { code: status, errors: stderr }
}

describe.skipIf(!hasSystemd)(suite, () => {
  it.each([
    ['systemd/gatewayworker.service', 'KillMode=', 'KillMod=', /Unknown key 'KillMod'/],
    ['systemd/gatewayworker.service', 'SystemCallFilter=@system-service', '', /exposed to more than/],
    ['Dockerfile', 'WORKDIR', 'WORKDIRR', /Dockerfile:3: Unknown instruction: WORKDIRR/],
    ['compose.yaml', 'stop_grace_period', 'stop_grace', /services\/register.*must NOT have additional properties/],
    ['kubernetes/gateway.yaml', 'readinessProbe', 'readynessProbe', /gateway\.yaml.*'"readynessProbe"' does not exist/],
    [
      'kubernetes/worker.yaml',
      'replicas: 2',
      'replicas: two',
      /worker\.yaml.*'string' is not assignable to type 'number'/,
    ],
    [
      'kubernetes/worker.yaml',
      'policy/v1',
      'policy/v2',
      /worker\.yaml.*Cannot find module 'kubernetes-types\/policy\/v2'/,
    ],
    ['kubernetes/secret.yaml', 'type: Opaque', 'type: [', /secret\.yaml: Flow sequence/],
  ])('finds a mistake in %s: %s → %s', (file, before, after, message) => {
    expect(lintWith(file, before, after)).toEqual({ code: 1, errors: expect.stringMatching(message) })
  })
})
