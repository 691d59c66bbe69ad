// What .ci/run does once the tools are there: the tests through `npm test`, then every other check. A test that was skipped is
// counted as failed, and so is each check that fails. Ends with 1 if anything failed. Only what no package can mend, as a kernel that refuses
// network namespaces, may keep a test from running: it says "not possible here", and is named at the end.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CHECKS = {
  'types of the tests': ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json'],
  'lint and formatting': ['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', '.'],
  'unused code and dependencies': ['node_modules/knip/bin/knip.js', '--treat-config-hints-as-errors'],
  'files for deployment': ['scripts/deploy/lint.mjs'],
  'rules of the house': ['scripts/check-imports.mjs'],
}

const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-ci-'))
const report = join(folder, 'report.json')
// The types of the sources are checked by the build that comes before every npm script.
const tests = run('npm', ['test', '--', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`])
let { failed, impossible, passed } = countTests()
if (tests !== 0 && failed === 0) failed = 1
for (const [name, args] of Object.entries(CHECKS)) {
  console.log(`\n--- ${name}`)
  if (run(process.execPath, args) === 0) passed += 1
  else failed += 1
}
rmSync(folder, { recursive: true })
process.exitCode = failed === 0 ? 0 : 1
if (impossible.size > 0) console.log(['\nNOT TESTED:', ...impossible].join('\n  '))
console.log(`\n${passed} passed, ${failed} failed`)

/** The runner's own counts; suites that could not even be loaded have no tests, and count as one failure each. */
function countTests() {
  if (!existsSync(report)) return { failed: 1, impossible: new Set(), passed: 0 }
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
  const counts = { failed: 0, impossible: new Set(), passed: 0 }
  for (const { assertionResults, message, name, status } of testResults) {
    for (const { ancestorTitles, fullName, status: result } of assertionResults) {
      const suite = ancestorTitles.find((title) => title.includes('(skipped: not possible here'))
      if (suite !== undefined && result !== 'failed') {
        counts.impossible.add(suite)
        continue
      }
      if (result === 'passed') counts.passed += 1
      else counts.failed += 1
      if (result !== 'passed' && result !== 'failed') console.log(`${result}, which is no success here: ${fullName}`)
    }
    if (assertionResults.length === 0 && status === 'failed') {
      counts.failed += 1
      console.log(`${name}: ${message}`)
    }
  }
  return counts
}

function run(command, args) {
  return spawnSync(command, args, { stdio: 'inherit' }).status ?? 1
}
