import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { makeCertificates } from './certificates.ts'

const SCRIPT = fileURLToPath(new URL('./backlog.mjs', import.meta.url))
const FRAMES = 120_000
const MB = 1_000_000

it.each(['plain', 'TLS'])('a peer that reads nothing costs the memory of what waits for it (%s)', async (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-backlog-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  if (kind === 'TLS') makeCertificates(folder)
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, [SCRIPT, kind === 'TLS' ? folder : '', String(FRAMES)])
  const { arrayBuffers, waiting } = JSON.parse(stdout) as { arrayBuffers: number; waiting: number }
  expect(waiting).toBeGreaterThan(1 * MB)
  // A page for each turn would be gigabytes. TLS keeps some for what is on its way.
  expect(arrayBuffers).toBeLessThan(waiting + 8 * MB)
})
