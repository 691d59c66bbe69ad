import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { browserSuite, browserTest } from './chromium.ts'
import { useCluster } from './cluster.ts'
import { example, type Site, startSite, useBrowser } from './example-site.ts'

const secretKey = 'example secret'

describe('the example bind-controller', () => {
  const cluster = useCluster({ events: example('bind-controller/Events.ts'), secretKey })
  let site: Site

  beforeAll(async () => {
    site = await startSite('bind-controller', {
      GATEWAY_URL: cluster.url(),
      GW_REGISTER_ADDRESS: cluster.registerAddress,
      GW_SECRET_KEY: secretKey,
    })
  })
  afterAll(() => site?.stop())

  describe('over HTTP', () => {
    const post = (path: string, body: object, headers: Record<string, string> = {}) =>
      fetch(site.url + path, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
        method: 'POST',
      })
    const statusOf = async (...request: Parameters<typeof post>) => (await post(...request)).status
    const logIn = async (name: string) => {
      const { headers } = await post('/login', { name })
      return { cookie: headers.get('set-cookie')!.split(';', 1)[0]! }
    }

    it('answers over the connection that was bound, and then tells everybody', async () => {
      const zoe = await logIn('Zoe')
      const page = await cluster.open()
      const other = await cluster.open()
      const { bind_token, client_id } = await page.nextJson()
      await other.nextJson()
      expect(await statusOf('/bind', { bind_token, client_id }, zoe)).toBe(200)
      const user = { color: expect.stringMatching(/^#/), id: expect.any(Number), name: 'Zoe' }
      const enter = { data: { time: expect.any(Number), user }, type: 'enter' }
      expect(await page.nextJson()).toEqual({ data: user, type: 'user' })
      expect(await page.nextJson()).toEqual(enter)
      expect(await other.nextJson()).toEqual(enter)
      expect(await statusOf('/say', { content: ' Hello ' }, zoe)).toBe(200)
      const say = { data: { content: 'Hello', time: expect.any(Number), user }, type: 'say' }
      for (const client of [page, other]) expect(await client.nextJson()).toEqual(say)
      await page.close()
      expect(await statusOf('/bind', { bind_token, client_id }, zoe)).toBe(410)
    })

    it('refuses whoever has no login, no token or nothing to say', async () => {
      const zoe = await logIn('Zoe')
      const { bind_token, client_id } = await (await cluster.open()).nextJson()
      const stranger = await (await cluster.open()).nextJson()
      expect(await statusOf('/bind', { bind_token, client_id })).toBe(401)
      expect(await statusOf('/say', { content: 'Hello' })).toBe(401)
      expect(await statusOf('/bind', { client_id }, zoe)).toBe(403)
      expect(await statusOf('/bind', { bind_token: stranger.bind_token, client_id }, zoe)).toBe(403)
      expect(await cluster.backend().getUidByClientId(client_id)).toBe(null)
      expect(await statusOf('/say', { content: ' ' }, zoe)).toBe(422)
      expect(await statusOf('/login', { name: '' })).toBe(422)
      expect(await statusOf('/login', { name: 'Zoe' }, { 'content-type': 'text/plain' })).toBe(415)
    })
  })

  describe(browserSuite('in a browser'), () => {
    const browser = useBrowser()

    const visit = async (name: string, prepare?: (page: Page) => Promise<void>) => {
      const page = await browser.open(site.url, { prepare })
      await page.getByLabel('Your name').fill(name)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.locator('#my-name').getByText(name, { exact: true }).waitFor()
      return page
    }
    const hears = (page: Page, text: string) => page.locator('#said li').getByText(text).first().waitFor()

    browserTest('pages learn over the socket who they are, and hear everybody', async () => {
      const ann = await visit('Ann')
      const ben = await visit('Ben')
      await hears(ann, 'Ben is here')
      await ben.getByLabel('To everybody').fill('Hello <b>all</b>')
      await ben.getByRole('button', { name: 'Say' }).click()
      for (const page of [ann, ben]) await hears(page, 'Ben Hello <b>all</b>')
      expect(await ann.locator('#my-name').textContent()).toBe('Ann')
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
      await hears(ann, 'Ann is here')
      const lost = ann.getByRole('alert').getByText('The connection is lost').waitFor()
      lose()
      await lost
      await ann.locator('#error:empty').waitFor({ state: 'attached' })
      const [, id] = (await ann.locator('#my-id').textContent())!.split(' ')
      const user = { color: 'gray', id, name: 'The site' }
      const say = { data: { content: 'Back again', time: Date.now(), user }, type: 'say' }
      expect(await cluster.backend().sendToUid(id!, say, { receipt: true })).toMatchObject({ delivered: 1 })
      await hears(ann, 'Back again')
    })
  })
})
