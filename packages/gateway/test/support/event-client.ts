import { once } from 'node:events'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { onTestFinished } from 'vitest'
import type { GatewayServer } from '../../src/index.ts'
import { Inbox } from './inbox.ts'

export interface ServerSentEvent {
  data: string
  type: string
}

/** What a browser makes of a stream's text: by the rules of the HTML standard, section 9.2.6. */
function parseEvents(text: string): { events: ServerSentEvent[]; retryMs?: number } {
  const events: ServerSentEvent[] = []
  let data = ''
  let type = ''
  let retryMs: number | undefined
  for (const line of text.split(/\r\n|\n|\r/).slice(0, -1)) {
    if (line === '') {
      if (data !== '') events.push({ data: data.slice(0, -1), type: type || 'message' })
      data = ''
      type = ''
      continue
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') data += `${value}\n`
    if (field === 'event') type = value
    if (field === 'retry') retryMs = Number(value)
  }
  return retryMs === undefined ? { events } : { events, retryMs }
}

/** A page's EventSource; its events wait in `events`. */
export class EventClient {
  readonly ended: Promise<void>
  readonly events = new Inbox<ServerSentEvent>()
  readonly response: IncomingMessage
  /** What the page has been told to wait before it connects again. */
  retryMs: number | undefined
  /** Everything that came, comments included. */
  text = ''

  constructor(response: IncomingMessage) {
    this.response = response
    let parsed = 0
    response.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk
      const whole = this.text.lastIndexOf('\n\n') + 2
      const { events, retryMs } = parseEvents(this.text.slice(parsed, Math.max(whole, parsed)))
      parsed = Math.max(whole, parsed)
      this.retryMs ??= retryMs
      for (const event of events) this.events.push(event)
    })
    response.on('error', () => {})
    this.ended = new Promise((resolve) => response.once('close', resolve))
  }

  get clientId(): Promise<string> {
    return this.events.next().then(({ data, type }) => (type === 'client_id' ? data : Promise.reject(new Error(type))))
  }
}

/** The answer to a request for events; what it holds open ends with the test. */
export async function requestEvents(gateway: GatewayServer, path = '/', options: RequestOptions = {}) {
  const { port } = gateway.address
  const headers = { accept: 'text/event-stream', ...options.headers }
  const asked = request({ host: '127.0.0.1', port, path, agent: false, ...options, headers }).end()
  asked.on('error', () => {})
  onTestFinished(() => void asked.destroy())
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return response
}

/** A client that listens to events. */
export async function listen(gateway: GatewayServer, path = '/', options?: RequestOptions): Promise<EventClient> {
  const response = await requestEvents(gateway, path, options)
  if (response.statusCode !== 200) throw new Error(`refused with ${response.statusCode}`)
  return new EventClient(response)
}
