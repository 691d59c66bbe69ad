import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import type { EtcdAddress } from './etcd-address.ts'
import { EtcdChanges } from './etcd-changes.ts'

/** How long etcd may take to answer. */
const TIMEOUT_MS = 3_000
const UNAUTHORIZED = 401

/** Talks to one etcd, 3.4 or later, in JSON over HTTP: https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/ */
export class EtcdClient {
  readonly #address: EtcdAddress
  readonly #agent: HttpAgent
  readonly #persistent: boolean
  #token: string | undefined

  /** `persistent`: whether a connection keeps this process running. */
  constructor(address: EtcdAddress, persistent: boolean) {
    this.#address = address
    const options = { ...address.tls, keepAlive: true }
    this.#agent = this.#isSecure ? new HttpsAgent(options) : new HttpAgent(options)
    this.#persistent = persistent
  }

  /** Ends every connection; whoever waits for an answer gets none. */
  close(): void {
    this.#agent.destroy()
  }

  /** Calls a method such as `kv/range`. Rejects with the reason in words. */
  async call<Reply>(method: string, body: object): Promise<Reply> {
    return await readReply(await this.#authorized(method, body))
  }

  /** Says when something happens to keys that begin with the prefix, from when this resolves. Rejects with the reason in words. */
  async watch(prefix: string): Promise<EtcdChanges> {
    const response = await this.#authorized('watch', { create_request: rangeOf(prefix) })
    if (response.statusCode !== 200) throw await readRefusal(response)
    response.socket.setTimeout(0) // nothing may happen for long
    const changes = new EtcdChanges(response, this.#persistent)
    await changes.next(TIMEOUT_MS) // the first news is that it has begun
    return changes
  }

  /** Asks with a token where users have to show one. Tokens end; etcd says so, and then another is fetched. */
  async #authorized(method: string, body: object): Promise<IncomingMessage> {
    if (this.#address.credentials === undefined) return this.#post(method, body)
    this.#token ??= await this.#fetchToken()
    const response = await this.#post(method, body, this.#token)
    if (response.statusCode !== UNAUTHORIZED) return response
    response.resume()
    this.#token = await this.#fetchToken()
    return this.#post(method, body, this.#token)
  }

  async #fetchToken(): Promise<string> {
    const { token } = await readReply<{ token: string }>(
      await this.#post('auth/authenticate', this.#address.credentials ?? {}),
    )
    return token
  }

  #post(method: string, body: object, token?: string): Promise<IncomingMessage> {
    const headers = token === undefined ? {} : { authorization: token }
    const options = { agent: this.#agent, headers, method: 'POST', timeout: TIMEOUT_MS }
    return new Promise((resolve, reject) => {
      const request = (this.#isSecure ? requestHttps : requestHttp)(`${this.#address.url}/v3/${method}`, options)
      request.on('socket', (socket) => {
        if (!this.#persistent) socket.unref()
      })
      request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
      request.on('error', reject)
      request.on('response', resolve)
      request.end(JSON.stringify(body))
    })
  }

  get #isSecure(): boolean {
    return this.#address.url.startsWith('https:')
  }
}

/** Text as etcd's JSON has keys and values. */
export function encodeText(plain: string): string {
  return Buffer.from(plain).toString('base64')
}

export function decodeText(encoded: string): string {
  return Buffer.from(encoded, 'base64').toString()
}

/** All keys that begin with a prefix, which ends with a slash. */
export function rangeOf(prefix: string): { key: string; range_end: string } {
  return { key: encodeText(prefix), range_end: encodeText(`${prefix.slice(0, -1)}0`) } // 0 follows the slash
}

async function readReply<Reply>(response: IncomingMessage): Promise<Reply> {
  if (response.statusCode !== 200) throw await readRefusal(response)
  return (await readJson(response)) as Reply
}

/** Why etcd does not do what it was asked to. */
async function readRefusal(response: IncomingMessage): Promise<Error> {
  const { message } = (await readJson(response)) as { message: string }
  return new Error(message)
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const body = await text(response)
  try {
    return JSON.parse(body)
  } catch {
    throw new Error(`it is no etcd 3.4 or later: its answer, of HTTP ${response.statusCode}, is not JSON`)
  }
}
