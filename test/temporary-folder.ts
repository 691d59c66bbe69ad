import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder outside the repository with these files, which is removed after the test that calls this. */
export function temporaryFolder(files: Record<string, string>): { path(name: string): string; write: typeof write } {
  const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-test-'))
  onTestFinished(() => rmSync(folder, { force: true, recursive: true }))
  const path = (name: string) => join(folder, name)
  function write(name: string, text: string | Buffer): void {
    writeFileSync(path(name), text)
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  return { path, write }
}
