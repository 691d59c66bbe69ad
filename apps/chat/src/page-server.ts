import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { extname } from 'node:path'

const publicDirectory = new URL('../public/', import.meta.url)

const contentTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * Serves the files of `public/`, and tells the page at `/config.json` which port the gateway listens on for clients.
 *
 * Files are read at each request, so that a change shows at the next reload; the browser asks whether its copy is still
 * good (`no-cache` with an ETag).
 */
export function createPageServer({ gatewayPort }: { gatewayPort: number }): Server {
  const headers = securityHeaders(gatewayPort)
  const config = Buffer.from(JSON.stringify({ gatewayPort }))

  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      sendText(response, 405, 'Only GET and HEAD are answered here.')
      return
    }
    const path = request.url?.split('?', 1)[0]
    if (path === '/config.json') {
      sendBody(request, response, 'application/json; charset=utf-8', config)
      return
    }
    const file = fileNameOf(path)
    const body = file && (await readPublicFile(file))
    if (!file || !body) {
      sendText(response, 404, 'There is no such page.')
      return
    }
    sendBody(request, response, contentTypes[extname(file)]!, body)
  }

  return createServer((request, response) => {
    onRequest(request, response).catch(() => sendText(response, 500, 'The page could not be read.'))
  })
}

/** The file that a path asks for, if it has the form of one of ours: one name, no directory, nothing encoded, no way up. */
function fileNameOf(path: string | undefined): string | undefined {
  if (path === '/') return 'index.html'
  return path?.match(/^\/([a-z][a-z-]*\.(?:css|html|js|svg))$/)?.[1]
}

async function readPublicFile(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(new URL(file, publicDirectory))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENAMETOOLONG') return undefined
    throw error
  }
}

function sendBody(request: IncomingMessage, response: ServerResponse, contentType: string, body: Buffer): void {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  response.setHeader('cache-control', 'no-cache')
  response.setHeader('etag', etag)
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304).end()
    return
  }
  // Node leaves the body out when it answers HEAD.
  response.writeHead(200, { 'content-type': contentType, 'content-length': body.length }).end(body)
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, { 'cache-control': 'no-store', 'content-type': 'text/plain; charset=utf-8' })
    .end(`${text}\n`)
}

function securityHeaders(gatewayPort: number): Record<string, string> {
  return {
    'content-security-policy': [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      `connect-src 'self' ws://*:${gatewayPort} wss://*:${gatewayPort}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  }
}
