import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { browserSuite, browserTest, launchChromium } from './chromium.ts'
import { useCluster } from './cluster.ts'
import { freePort } from './free-port.ts'

const events = fileURLToPath(new URL('../apps/chat/Events.ts', import.meta.url))
const clientPort = await freePort()

describe(browserSuite('the chat in a browser'), () => {
  // Pages look for their gateway where they lost it, so its port has to stay.
  const cluster = useCluster({ clientPort, events })
  let browser: Browser | undefined
  let pageUrl: string
  /** What the pages of one test reported; every test ends with none. */
  const errors: string[] = []

  beforeAll(async () => {
    const page = cluster.run('apps/chat/dist/start-page.js', ['--port', '0', '--gateway-port', String(clientPort)])
    const { msg } = await page.line({ msg: /^The chat page is at / })
    pageUrl = msg.slice(msg.indexOf('http'))
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())
  afterEach(async () => {
    await Promise.all(browser?.contexts().map((context) => context.close()) ?? [])
    expect(errors.splice(0)).toEqual([])
  })

  /** A page of its own visitor, in the room; `prepare` is called before it loads. */
  async function join(name: string, room: string, prepare?: (page: Page) => Promise<void>): Promise<Page> {
    const context = await browser!.newContext({ locale: 'en-GB' })
    // Shorter than a test may take, so that a failure names what was waited for.
    context.setDefaultTimeout(15_000)
    const page = await context.newPage()
    await prepare?.(page)
    page.on('pageerror', (error) => errors.push(`${name}: ${error}`))
    page.on('console', (message) => {
      // The browser itself reports a connection that failed or broke off, which no page can prevent.
      const isLostConnection = message.text().startsWith('WebSocket connection to')
      if (message.type() === 'error' && !isLostConnection) errors.push(`${name}: ${message.text()}`)
    })
    await page.goto(`${pageUrl}/#${room}`)
    await page.getByLabel('Nickname').fill(name)
    await page.getByRole('button', { name: 'Join the room' }).click()
    await isOnline(page)
    return page
  }

  async function say(page: Page, text: string): Promise<void> {
    const box = page.getByRole('textbox', { name: 'Message', exact: true })
    await box.fill(text)
    await box.press('Enter')
  }

  const isOnline = (page: Page) => page.locator('#state[data-state=online]').waitFor()
  const isReconnecting = (page: Page) => page.locator('#state[data-state=reconnecting]').waitFor()
  const person = (page: Page, name: string) => page.locator('#members').getByText(name, { exact: true })
  const message = (page: Page, text: string) => page.locator('.message .content').getByText(text, { exact: true })
  const notice = (page: Page, text: string) => page.locator('.notice').getByText(text, { exact: true })

  browserTest('two people see each other, and what is said to all', async () => {
    const ann = await join('Ann', 'meet')
    const ben = await join('Ben', 'meet')
    await notice(ann, 'Ben joined').waitFor()
    for (const page of [ann, ben]) {
      await person(page, 'Ann').waitFor()
      await person(page, 'Ben').waitFor()
    }
    await say(ann, 'Hello everybody')
    await message(ben, 'Hello everybody').waitFor()
    await say(ben, 'Hello Ann')
    await message(ann, 'Hello Ann').waitFor()
    expect(await message(ann, 'Hello everybody').count()).toBe(1)
  })

  browserTest('a room hears nothing of another room', async () => {
    const ann = await join('Ann', 'one')
    const ben = await join('Ben', 'two')
    await say(ben, 'In room two')
    await message(ben, 'In room two').waitFor()

    await ben.getByLabel('Enter another room').fill('one')
    await ben.getByLabel('Enter another room').press('Enter')
    await notice(ann, 'Ben joined').waitFor()
    await say(ben, 'Now in room one')
    await message(ann, 'Now in room one').waitFor()
    expect(await message(ann, 'In room two').count()).toBe(0)
    expect(await message(ben, 'In room two').count()).toBe(0)
  })

  browserTest('a private message reaches its target only', async () => {
    const ann = await join('Ann', 'secrets')
    const ben = await join('Ben', 'secrets')
    const cid = await join('Cid', 'secrets')
    await ann.getByRole('button', { name: 'Ben' }).click()
    await say(ann, 'For Ben only')
    await ben.locator('.message.private').getByText('For Ben only').waitFor()
    // Cid gets what is said after it, so the private one would be here by now.
    await ann.getByRole('button', { name: 'Write to everyone' }).click()
    await say(ann, 'For all')
    await message(cid, 'For all').waitFor()
    expect(await message(cid, 'For Ben only').count()).toBe(0)
  })

  browserTest('HTML in names and messages is text', async () => {
    const html = '<img src=x onerror=alert(1)><b>bold</b>'
    const ann = await join('Ann', 'html')
    const eve = await join('<i>Eve</i>', 'html')
    await notice(ann, '<i>Eve</i> joined').waitFor()
    await say(eve, html)
    await message(ann, html).waitFor()
    expect(await ann.locator('#messages').locator('img, b, i').count()).toBe(0)
  })

  browserTest('who leaves is announced, and a private message to them is not sent to others', async () => {
    const ann = await join('Ann', 'leave')
    const ben = await join('Ben', 'leave')
    await ann.getByRole('button', { name: 'Ben' }).click()
    await ben.close()
    await notice(ann, 'Ben left').waitFor()
    await person(ann, 'Ben').waitFor({ state: 'detached' })
    await say(ann, 'Are you there?')
    expect(await ann.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true)
    expect(await ann.locator('.message').count()).toBe(0)
  })

  browserTest('a page stays within 500 entries', async () => {
    const ann = await join('Ann', 'flood')
    const sender = await join('Ben', 'flood')
    await sender.evaluate(() => {
      const form = document.querySelector<HTMLFormElement>('#composer')!
      const box = form.querySelector('textarea')!
      for (let number = 1; number <= 600; number++) {
        box.value = `Number ${number}`
        form.requestSubmit()
      }
    })
    await message(ann, 'Number 600').waitFor()
    expect(await ann.locator('#messages > li').count()).toBe(500)
  })

  browserTest('what is written without a connection waits for it, and arrives once', async () => {
    const ben = await join('Ben', 'tunnel')
    const line = { isCut: false, cut: () => {} }
    const ann = await join('Ann', 'tunnel', (page) =>
      page.routeWebSocket(/./, (socket) => {
        if (line.isCut) return void socket.close()
        const server = socket.connectToServer()
        line.cut = () => {
          line.isCut = true
          void socket.close()
          void server.close()
        }
      }),
    )
    line.cut()
    await isReconnecting(ann)
    await notice(ben, 'Ann left').waitFor()
    await say(ann, 'Written in the tunnel')
    await ann.locator('[data-status=waiting]').getByText('Written in the tunnel').waitFor()

    line.isCut = false
    // In one step: the page tries by itself, too, and then there is nothing to click.
    await ann.locator('#retry', { hasText: 'Retry now' }).dispatchEvent('click')
    await isOnline(ann)
    await message(ben, 'Written in the tunnel').waitFor()
    await ann.locator('[data-status=sent]').getByText('Written in the tunnel').waitFor()
    await say(ann, 'Out again')
    await message(ben, 'Out again').waitFor()
    expect(await message(ben, 'Written in the tunnel').count()).toBe(1)
    expect(await message(ann, 'Written in the tunnel').count()).toBe(1)
  })

  browserTest('a killed gateway is visible, and everybody comes back', async () => {
    const ann = await join('Ann', 'storm')
    const ben = await join('Ben', 'storm')
    const lost = Promise.all([isReconnecting(ann), isReconnecting(ben)])
    await Promise.all([cluster.gateways[0]!.killChild(), lost])
    // Each sees the other as soon as both are in again.
    await Promise.all([isOnline(ann), isOnline(ben)])
    await Promise.all([person(ann, 'Ben').waitFor(), person(ben, 'Ann').waitFor()])
    await say(ann, 'After the storm')
    await message(ben, 'After the storm').waitFor()
    await say(ben, 'All well')
    await message(ann, 'All well').waitFor()
  })

  test('a name with half of a surrogate pair, which JSON can hold, is taken with U+FFFD in its place', async () => {
    const client = await cluster.open()
    client.send(JSON.stringify({ name: 'Ann\ud83d', room: 'r\ud83d', type: 'login' }))
    expect(await client.nextJson()).toMatchObject({ me: { name: 'Ann\ufffd' }, room: 'r\ufffd', type: 'welcome' })
  })
})
