import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { browserSuite, browserTest, launchChromium } from './chromium.ts'
import { useCluster } from './cluster.ts'
import { within } from './deadline.ts'

const example = (file: string) => fileURLToPath(new URL(`../apps/examples/mvc-push/${file}`, import.meta.url))

describe('the example mvc-push', () => {
  const cluster = useCluster({ events: example('Events.ts'), secretKey: 'example secret' })
  let site: Site

  beforeAll(async () => {
    site = await startSite({
      GATEWAY_URL: cluster.url(),
      GW_REGISTER_ADDRESS: cluster.registerAddress,
      GW_SECRET_KEY: 'example secret',
    })
  })
  afterAll(() => site?.stop())

  describe('over HTTP', () => {
    const post = (path: string, body: string, headers: Record<string, string> = {}, url = site.url) =>
      fetch(url + path, { body, headers: { 'content-type': 'application/json', ...headers }, method: 'POST' })
    const logIn = async (name: string, url?: string) => {
      const response = await post('/login', JSON.stringify({ name }), {}, url)
      return { cookie: response.headers.get('set-cookie')!.split(';', 1)[0]! }
    }

    it('does nothing for who is not logged in', async () => {
      for (const path of ['/bind', '/notify', '/news']) expect((await post(path, '{}')).status).toBe(401)
    })

    it('takes nothing that a form of another site could send', async () => {
      const asForm = { 'content-type': 'text/plain' }
      expect((await post('/login', '{"name":"Ann"}', asForm)).status).toBe(415)
      const { headers } = await post('/login', '{"name":"Ann"}')
      expect(headers.get('set-cookie')).toMatch(/; HttpOnly; SameSite=Lax$/)
    })

    it.each(['{', '[]', '{}', '{"name":0}', '{"name":"0"}', '{"name":" "}'])('refuses to log in %s', async (body) => {
      const response = await post('/login', body)
      expect(response.status).toBe(400)
      expect(await response.json()).toEqual({ message: expect.any(String) })
    })

    it('tells bad client ids from those of connections that are gone', async () => {
      const ann = await logIn('Ann')
      const bad = await post('/bind', '{"clientId":"1"}', ann)
      expect([bad.status, await bad.json()]).toEqual([400, expect.objectContaining({ code: 'BAD_CLIENT_ID' })])
      const gone = await post('/bind', '{"clientId":"7f00000109d600000001"}', ann)
      expect(gone.status).toBe(410)
    })

    it('answers 503 with a code and advice while there is no cluster', async () => {
      const lonely = await startSite({ GW_REGISTER_ADDRESS: '127.0.0.1:1' })
      try {
        const response = await post('/news', '{"text":"Hello"}', await logIn('Ann', lonely.url), lonely.url)
        expect(response.status).toBe(503)
        expect(await response.json()).toMatchObject({ advice: expect.stringMatching(/register/), code: 'NO_REGISTER' })
      } finally {
        await lonely.stop()
      }
    })
  })

  describe(browserSuite('in a browser'), () => {
    let browser: Browser | undefined
    /** What the pages of one test reported; every test ends with none. */
    const errors: string[] = []

    beforeAll(async () => {
      browser = await launchChromium()
    })
    afterAll(() => browser?.close())
    afterEach(async () => {
      await Promise.all(browser?.contexts().map((context) => context.close()) ?? [])
      expect(errors.splice(0)).toEqual([])
    })

    const open = async (context: BrowserContext, prepare?: (page: Page) => Promise<void>) => {
      const page = await context.newPage()
      page.on('pageerror', (error) => errors.push(String(error)))
      page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
      await prepare?.(page)
      await page.goto(site.url)
      return page
    }
    /** A page of a visitor with a browser of their own, logged in and bound. */
    const visit = async (name: string, prepare?: (page: Page) => Promise<void>) => {
      const page = await open(await browser!.newContext(), prepare)
      await logIn(page, name)
      return page
    }
    const logIn = async (page: Page, name: string) => {
      await page.getByLabel('Your name').fill(name)
      await page.getByRole('button', { name: 'Log in' }).click()
      await isBound(page)
    }
    const submit = async (page: Page, form: 'notify' | 'news', text: string, to?: string) => {
      if (to !== undefined) await page.locator('#to').fill(to)
      await page.locator(`#${form}-text`).fill(text)
      await page.locator(`#${form} button`).click()
    }
    const isBound = (page: Page) => page.locator('#state[data-state=bound]').waitFor()
    const loginForm = (page: Page) => page.getByLabel('Your name').waitFor()
    const said = (page: Page, form: string, text: string) =>
      page.locator(`#${form} output`).getByText(text, { exact: true }).waitFor()
    const received = (page: Page) => page.locator('#received li p').allTextContents()
    const receives = (page: Page, text: string) =>
      page.locator('#received li').getByText(text, { exact: true }).waitFor()

    browserTest('a notification reaches one user, news reach everybody', async () => {
      const ann = await visit('Ann')
      const ben = await visit('Ben')
      await submit(ann, 'notify', 'For Ben only', 'Ben')
      await receives(ben, 'For Ben only')
      await said(ann, 'notify', 'Sent to one page.')
      await submit(ben, 'news', 'For <b>everybody</b>')
      // What comes later is here, so what came before would be here too.
      for (const page of [ann, ben]) await receives(page, 'For <b>everybody</b>')
      expect(await received(ann)).toEqual(['For <b>everybody</b>'])
      expect(await received(ben)).toEqual(['For <b>everybody</b>', 'For Ben only'])
      await submit(ann, 'notify', 'Anybody?', 'Cid')
      await said(ann, 'notify', 'Cid is not online.')
    })

    browserTest('a page that is reloaded is bound again', async () => {
      const ann = await visit('Ann')
      await ann.reload()
      await isBound(ann)
      await submit(ann, 'notify', 'Still here', 'Ann')
      await receives(ann, 'Still here')
      await said(ann, 'notify', 'Sent to one page.')
    })

    browserTest('a connection that was lost comes back and is bound again', async () => {
      let lose = () => {}
      const ann = await visit('Ann', (page) =>
        page.routeWebSocket(/./, (socket) => {
          const server = socket.connectToServer()
          lose = () => {
            void socket.close()
            void server.close()
          }
        }),
      )
      const lost = ann.locator('#state[data-state=lost]').waitFor()
      lose()
      await lost
      await isBound(ann)
      await submit(ann, 'notify', 'Back again', 'Ann')
      await receives(ann, 'Back again')
      await said(ann, 'notify', 'Sent to one page.')
    })

    browserTest('a user with two tabs is reached in both, and a logout ends both', async () => {
      const ann = await visit('Ann')
      const tab = await open(ann.context())
      await isBound(tab)
      const elsewhere = await visit('Ann')
      await submit(ann, 'notify', 'To all of me', 'Ann')
      for (const page of [ann, tab, elsewhere]) await receives(page, 'To all of me')
      await said(ann, 'notify', 'Sent to 3 pages.')

      await tab.getByRole('button', { name: 'Log out' }).click()
      await Promise.all([loginForm(ann), loginForm(tab)])
      await submit(elsewhere, 'notify', 'Only here now', 'Ann')
      await said(elsewhere, 'notify', 'Sent to one page.')
      await logIn(ann, 'Ben')
      expect(await received(ann)).toEqual([])
    })
  })
})

type Site = Awaited<ReturnType<typeof startSite>>

/** The example's web site as a process of its own, on a free port. */
async function startSite(env: Record<string, string>) {
  const child = spawn(process.execPath, [example('site.mjs')], {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await within(once(createInterface(child.stdout), 'line'), 'the address of the site')
  return { stop: () => stop(child), url: String(line).replace(/^.* /, '') }
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill()
  await within(exited, 'the end of the site')
}
