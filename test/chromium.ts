import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { it } from 'vitest'

const chromiumPath = '/usr/bin/chromium'
const hasChromium = existsSync(chromiumPath)

/** The name of a suite that needs Chromium, which says so if it is skipped because there is none. */
export function browserSuite(name: string): string {
  if (hasChromium) return name
  const skipped = `${name} (skipped: ${chromiumPath} is not installed)`
  console.warn(skipped)
  return skipped
}

/** A test that is skipped where there is no Chromium. */
export const browserTest = it.skipIf(!hasChromium)

/** Chromium without a window and without traffic of its own; undefined where there is none. */
export async function launchChromium(): Promise<Browser | undefined> {
  if (!hasChromium) return undefined
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--headless',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-quic',
      '--no-first-run',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
