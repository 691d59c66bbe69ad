import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { launchChromium } from './chromium.ts'
import { within } from './deadline.ts'
import { freePort } from './free-port.ts'

/** The web site of an example, as a process of its own. */
export interface Site {
  stop(): Promise<void>
  url: string
}

/** The absolute path of a file of the examples. */
export function example(file: string): string {
  return fileURLToPath(new URL(`../apps/examples/${file}`, import.meta.url))
}

/** Runs an example's site.mjs on a free port. */
export async function startSite(folder: string, env: Record<string, string>): Promise<Site> {
  const child = spawn(process.execPath, [example(`${folder}/site.mjs`)], {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await within(once(createInterface(child.stdout), 'line'), 'the address of the site')
  return { stop: () => stop(child), url: String(line).replace(/^.* /, '') }
}

/** Runs an example's site.php in PHP's built-in server, with the suite's GatewayClient in the place of Composer's. */
export async function startPhpSite(folder: string, env: Record<string, string>): Promise<Site> {
  const sessions = mkdtempSync(join(tmpdir(), 'gatewayworker-sessions-'))
  const address = `127.0.0.1:${await freePort()}`
  const args = ['-S', address, '-t', example(`${folder}/public`), example(`${folder}/site.php`)]
  const child = spawn('php', ['-d', `session.save_path=${sessions}`, ...args], {
    env: { ...process.env, GATEWAY_CLIENT: fileURLToPath(new URL('php/GatewayClient.php', import.meta.url)), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await within(once(child.stderr, 'data'), 'the address of the site')
  // Every request is a line of the log, which has to be read.
  child.stderr.resume()
  async function stopAndForget(): Promise<void> {
    await stop(child)
    rmSync(sessions, { force: true, recursive: true })
  }
  return { stop: stopAndForget, url: `http://${address}` }
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill()
  await within(exited, 'the end of the site')
}

/** Headless Chromium for the tests of a describe block; no page may report an error. */
export function useBrowser() {
  let browser: Browser | undefined
  const errors: string[] = []

  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())
  afterEach(async () => {
    await Promise.all(browser?.contexts().map((context) => context.close()) ?? [])
    expect(errors.splice(0)).toEqual([])
  })

  return {
    /** A page in a browser of its own, or in that of another page. */
    async open(
      url: string,
      options: { context?: BrowserContext; prepare?(page: Page): Promise<void> } = {},
    ): Promise<Page> {
      const { context = await browser!.newContext(), prepare } = options
      const page = await context.newPage()
      page.on('pageerror', (error) => errors.push(String(error)))
      page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
      await prepare?.(page)
      await page.goto(url)
      return page
    },
  }
}
