import { type Finding, problem } from '@gatewayworker/supervisor'
import { originOf, type PlainAnswer } from './shake-hands.ts'
import { showUrl } from './show-url.ts'

const NGINX_UPGRADE =
  'nginx needs in this location: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`; Apache: mod_proxy_wstunnel; a CDN: switch WebSockets on.'

/** What an answer that is no WebSocket tells of the way to the gateways. */
export function explainAnswer(url: URL, { body, headers, status }: PlainAnswer): Finding {
  const { pathname } = url
  const shown = showUrl(url)
  const says = `${shown} answers with status ${status}`
  switch (status) {
    case 0:
      return problem(
        'GW-URL-NO-HTTP',
        `${shown} takes the connection and does not answer the WebSocket handshake: ${body}.`,
        'What listens there is no HTTP server; or it wants TLS (then the page has to say wss://), or the PROXY protocol.',
      )
    case 400:
      if (/HTTPS port/i.test(body))
        return problem('GW-URL-NO-HTTP', `${says}: the port wants TLS.`, 'Write wss:// in place of ws://.')
      return noUpgrade(says)
    case 426:
      return noUpgrade(says)
    case 401:
      return problem(
        'GW-URL-FORBIDDEN',
        `${says}: a token or password is needed, or this one is not valid.`,
        'If the gateway asks for a token (--jwt-…), put a valid one into the address, as a page does: `?token=…`; otherwise a proxy asks for a password: take that off this path.',
      )
    case 403:
      return problem(
        'GW-URL-FORBIDDEN',
        `${says}: a page of ${originOf(url)} is not let in.`,
        `Add --allow-origin ${originOf(url)} to the gateways, or whichever site the page is on; or a proxy refuses this address or country.`,
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
        `${says}: too many connections of one address, or too often.`,
        'Behind a proxy all clients have its address, unless the gateways are told --trusted-proxy ADDRESS; otherwise wait, or raise --max-connections-per-address or --connection-rate, or the limit of the proxy.',
      )
    case 503:
      if (/no room/i.test(body)) {
        const fix = 'Raise --max-connections, or start more gateways.'
        return problem('GW-URL-LIMITED', `${says}: the gateway has as many connections as it takes.`, fix)
      }
      return badGateway(says)
    case 502:
    case 504:
      return badGateway(says)
  }
  if (status >= 300 && status < 400) {
    return problem(
      'GW-URL-REDIRECT',
      `${says}, to ${showLocation(url, headers.location)}: browsers do not follow that with a WebSocket.`,
      'Let the page connect to the address that it leads to (https:// is wss:// there), or take the redirect off this path.',
    )
  }
  return problem(
    'GW-URL-NO-WEBSOCKET',
    `${says} and no WebSocket: a web server answers itself.`,
    `The path ${pathname} is not handed to the gateways: proxy it to the port of --listen. ${NGINX_UPGRADE}`,
  )
}

/** Where a redirect leads, which often repeats the token that it was asked with. */
function showLocation(url: URL, location = 'nowhere'): string {
  return URL.canParse(location, originOf(url)) ? showUrl(new URL(location, originOf(url))) : 'an address that is none'
}

/** Gateways say so to a request without those headers, which ours had: somebody on the way has taken them. */
function noUpgrade(says: string): Finding {
  return problem(
    'GW-URL-NO-UPGRADE',
    `${says}: a proxy on the way strips the Upgrade headers of WebSocket.`,
    NGINX_UPGRADE,
  )
}

function badGateway(says: string): Finding {
  return problem(
    'GW-URL-BAD-GATEWAY',
    `${says}: the proxy does not reach a gateway.`,
    "Compare the proxy's upstream (nginx: proxy_pass) with --listen of the gateways: the port, the address (one on 127.0.0.1 is reached from its own host only), http:// and not https://.",
  )
}
