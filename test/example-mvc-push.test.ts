import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { browserSuite, browserTest } from './chromium.ts'
import { useCluster } from './cluster.ts'
import { example, type Site, startPhpSite, startSite, useBrowser } from './example-site.ts'
import { describeWithPhp } from './php.ts'

const secretKey = 'example secret'
const cluster = useCluster({ events: example('mvc-push/Events.ts'), secretKey })

describe('the example mvc-push with Express', () => testSite(startSite, { code: 'NO_REGISTER' }))
describeWithPhp('the example mvc-push with plain PHP', () => testSite(startPhpSite, {}))

/** The two sites have the same page, routes and answers, so they have the same tests; but GatewayClient's errors have no code. */
function testSite(start: typeof startSite, whenUnreachable: object): void {
  let site: Site

  beforeAll(async () => {
    site = await start('mvc-push', {
      GATEWAY_URL: cluster.url(),
      GW_REGISTER_ADDRESS: cluster.registerAddress,
      GW_SECRET_KEY: secretKey,
    })
  })
  afterAll(() => site?.stop())

  describe('over HTTP', () => {
    const post = (path: string, body: unknown, headers: Record<string, string> = {}, url = site.url) =>
      fetch(url + path, {
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
        method: 'POST',
      })
    const logIn = async (name: string, url?: string) => {
      const response = await post('/login', { name }, {}, url)
      return { cookie: response.headers.get('set-cookie')!.split(';', 1)[0]! }
    }
    const greet = async () => (await cluster.open()).nextJson()
    const statusOf = async (response: Promise<Response>) => (await response).status

    it('says who is logged in, and where pages connect', async () => {
      const me = async (headers: Record<string, string>) => (await fetch(`${site.url}/me`, { headers })).json()
      expect(await me({})).toEqual({ gatewayUrl: cluster.url(), name: null })
      const ann = await logIn(' Ann\u3000')
      expect(await me(ann)).toEqual({ gatewayUrl: cluster.url(), name: 'Ann' })
      const response = await post('/logout', {}, ann)
      expect([response.status, await response.json()]).toEqual([200, {}])
      expect(await me(ann)).toEqual({ gatewayUrl: cluster.url(), name: null })
    })

    it('does nothing for who is not logged in', async () => {
      for (const path of ['/bind', '/notify', '/news']) expect((await post(path, {})).status).toBe(401)
    })

    it('takes nothing that a form of another site could send', async () => {
      const asForm = { 'content-type': 'text/plain' }
      expect((await post('/login', { name: 'Ann' }, asForm)).status).toBe(415)
      const { headers } = await post('/login', { name: 'Ann' })
      expect(headers.get('set-cookie')).toMatch(/; HttpOnly; SameSite=Lax$/)
    })

    it('gives a new session id to who logs in', async () => {
      const before = await logIn('Ann')
      const { headers } = await post('/login', { name: 'Ben' }, before)
      expect(headers.get('set-cookie')).not.toContain(before.cookie)
      expect(await statusOf(post('/news', { text: 'Hello' }, before))).toBe(401)
    })

    it.each(['{', '[]', '{}', '{"name":0}', '{"name":"0"}', '{"name":" "}', `{"name":"${'n'.repeat(25)}"}`])(
      'refuses to log in %s',
      async (body) => {
        const response = await post('/login', body)
        expect(response.status).toBe(400)
        expect(await response.json()).toEqual({ message: expect.any(String) })
      },
    )

    it('refuses names and texts that make no sense', async () => {
      const ann = await logIn('Ann')
      for (const to of [undefined, ['Ann'], '0', 'n'.repeat(25)]) {
        expect(await statusOf(post('/notify', { text: 'Hello', to }, ann))).toBe(400)
      }
      for (const text of [undefined, 7, '\n', 't'.repeat(501)]) {
        expect(await statusOf(post('/notify', { text, to: 'Ann' }, ann))).toBe(400)
        expect(await statusOf(post('/news', { text }, ann))).toBe(400)
      }
    })

    it('binds a connection for its own page only', async () => {
      const zoe = await logIn('Zoe')
      const page = await greet()
      const other = await greet()
      expect(page).toEqual({ bindToken: expect.any(String), clientId: expect.any(String), type: 'init' })
      vi.useFakeTimers({ now: Date.now() - 61_000, toFake: ['Date'] })
      const expired = cluster.backend().createBindToken(page.clientId)
      vi.useRealTimers()
      for (const bindToken of [
        undefined,
        null,
        [page.bindToken],
        '',
        '.',
        other.bindToken,
        `${page.bindToken}0`,
        expired,
      ]) {
        const response = await post('/bind', { bindToken, clientId: page.clientId }, zoe)
        expect([response.status, await response.json()]).toEqual([403, { message: expect.any(String) }])
      }
      expect(await cluster.backend().getUidByClientId(page.clientId)).toBe(null)

      const response = await post('/bind', { bindToken: page.bindToken, clientId: page.clientId }, zoe)
      expect([response.status, await response.json()]).toEqual([200, { name: 'Zoe' }])
      expect(await cluster.backend().getUidByClientId(page.clientId)).toBe('Zoe')
    })

    it('says when a connection is gone', async () => {
      const clientId = `${(await greet()).clientId.slice(0, 12)}ffffffff`
      const bindToken = cluster.backend().createBindToken(clientId)
      expect(await statusOf(post('/bind', { bindToken, clientId }, await logIn('Ann')))).toBe(410)
    })

    it('says what is wrong when there is no cluster, and no secret', async () => {
      const lonely = await start('mvc-push', { GW_REGISTER_ADDRESS: '127.0.0.1:1' })
      try {
        const ann = await logIn('Ann', lonely.url)
        expect(await statusOf(post('/bind', { clientId: '1' }, ann, lonely.url))).toBe(400)
        const response = await post('/news', { text: 'Hello' }, ann, lonely.url)
        expect(response.status).toBe(503)
        expect(await response.json()).toMatchObject({
          advice: expect.stringMatching(/register/),
          message: expect.any(String),
          ...whenUnreachable,
        })
      } finally {
        await lonely.stop()
      }
    })
  })

  describe(browserSuite('in a browser'), () => {
    const browser = useBrowser()

    /** A page of a visitor with a browser of their own, logged in and bound. */
    const visit = async (name: string, prepare?: (page: Page) => Promise<void>) => {
      const page = await browser.open(site.url, { prepare })
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
      const tab = await browser.open(site.url, { context: ann.context() })
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
}
