import { type Finding, problem } from '@gatewayworker/supervisor'
import type { PlainAnswer } from './shake-hands.ts'

const NGINX_UPGRADE =
  'nginx needs in this location: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`; Apache: mod_proxy_wstunnel; a CDN: switch WebSockets on.'

/** What an answer that is no WebSocket tells of the way to the gateways. */
export function explainAnswer({ href, pathname }: URL, { body, headers, status }: PlainAnswer): Finding {
  const says = `${href} answers with status ${status}`
  switch (status) {
    case 0:
      return problem(
        'GW-URL-NO-HTTP',
        `${href} takes the connection and does not answer the WebSocket handshake: ${body}.`,
        'What listens there is no HTTP server; or it wants TLS (then the page has to say wss://), or the PROXY protocol.',
      )
    case 400:
      if (/HTTPS port/i.test(body))
        return problem('GW-URL-NO-HTTP', `${says}: the port wants TLS.`, 'Write wss:// in place of ws://.')
      return noUpgrade(says)
    case 426:
      return noUpgrade(says)
    case 401:
    case 403:
      return problem(
        'GW-URL-FORBIDDEN',
        `${says}: the client is not let in.`,
        'A proxy that asks for a password, an address or country rule, or the origins that the gateway allows: pages of this host come with its name as their origin.',
      )
    case 404:
      return problem(
        'GW-URL-NOT-FOUND',
        `${says}: the proxy knows no ${pathname}.`,
        `Add the location to its configuration (nginx: \`location ${pathname} { proxy_pass http://127.0.0.1:7272; … }\`), or correct the path.`,
      )
    case 429:
      return problem(
        'GW-URL-LIMITED',
        `${says}: too many connections or requests.`,
        'Wait, or raise the limit of the proxy or gateway.',
      )
    case 502:
    case 503:
    case 504:
      return problem(
        'GW-URL-BAD-GATEWAY',
        `${says}: the proxy does not reach a gateway.`,
        "Compare the proxy's upstream (nginx: proxy_pass) with --listen of the gateways: the port, the address (one on 127.0.0.1 is reached from its own host only), http:// and not https://.",
      )
  }
  if (status >= 300 && status < 400) {
    return problem(
      'GW-URL-REDIRECT',
      `${says}, to ${headers.location}: browsers do not follow that with a WebSocket.`,
      'Let the page connect to the address that it leads to (https:// is wss:// there), or take the redirect off this path.',
    )
  }
  return problem(
    'GW-URL-NO-WEBSOCKET',
    `${says} and no WebSocket: a web server answers itself.`,
    `The path ${pathname} is not handed to the gateways: proxy it to the port of --listen. ${NGINX_UPGRADE}`,
  )
}

/** Gateways say so to a request without those headers, which ours had: somebody on the way has taken them. */
function noUpgrade(says: string): Finding {
  return problem(
    'GW-URL-NO-UPGRADE',
    `${says}: a proxy on the way strips the Upgrade headers of WebSocket.`,
    NGINX_UPGRADE,
  )
}
