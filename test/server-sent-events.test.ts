import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { browserSuite, browserTest, launchChromium } from './chromium.ts'
import { useCluster } from './cluster.ts'

/** Runs in the page: connects twice at most, as a page should, and says in the title what has come. */
const PAGE = `<!doctype html><script>
  const source = new EventSource(new URLSearchParams(location.search).get('gateway'))
  const say = (text) => { document.title += text + ';' }
  let ids = 0
  source.addEventListener('client_id', ({ data }) => say('id' + ++ids))
  source.addEventListener('message', ({ data }) => data.startsWith('{') || say(data.replace('\\n', '+'))) // no greeting
  source.addEventListener('binary', ({ data }) => say('binary ' + atob(data)))
  source.addEventListener('close', ({ data }) => {
    const { code } = JSON.parse(data)
    say('close ' + code)
    if (code === 1000) source.close()
  })
</script>`

describe(browserSuite('server-sent events in a browser'), () => {
  const cluster = useCluster({ gatewayArgs: ['--sse'] })
  const site = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(PAGE))
  let browser: Awaited<ReturnType<typeof launchChromium>>
  beforeAll(async () => {
    browser = await launchChromium()
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  })
  afterAll(async () => {
    await browser?.close()
    site.close()
  })

  browserTest(
    'a page of another origin is pushed to, connects again by itself, and stays away when it is closed',
    async () => {
      const page = await browser!.newPage()
      const gateway = cluster.gateways[0]!.child().listen as string
      const { port } = site.address() as AddressInfo
      await page.goto(`http://127.0.0.1:${port}/?gateway=${gateway.replace('websocket', 'http')}`)
      const said = (text: string) => page.waitForFunction((text) => document.title.endsWith(text), `${text};`)
      await said('id1')
      const [first] = await cluster.backend().getAllClientIdList()
      await cluster.backend().sendToAll('two\nlines')
      await cluster.backend().sendToAll(Buffer.from('bytes'))
      await said('two+lines;binary bytes')
      await cluster.backend().destroyClient(first!)
      await said('id2')
      const [second] = await cluster.backend().getAllClientIdList()
      expect(second).not.toBe(first)
      await cluster.backend().closeClient(second!, 'last words')
      await said('last words;close 1000')
      expect(await page.evaluate(() => document.title)).toBe('id1;two+lines;binary bytes;id2;last words;close 1000;')
    },
  )
})
