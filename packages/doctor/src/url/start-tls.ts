import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Address, type Finding, problem, warning } from '@gatewayworker/supervisor'

const TIMEOUT_MS = 4_000

const DAY_MS = 86_400_000

/** Renewal that works has renewed by then. */
const EXPIRES_SOON_MS = 14 * DAY_MS

/** Secures a connection and looks at the certificate as a browser does; with a wrong one it goes on, so that all is found at once. */
export function startTls(socket: Socket, { host }: Address): Promise<{ findings: Finding[]; socket?: TLSSocket }> {
  return new Promise((resolve) => {
    const servername = isIP(host) === 0 ? host : undefined
    // What is wrong is told, and nothing secret is said.
    const secured = connectTls({ host, rejectUnauthorized: false, servername, socket })
    const fail = (reason: string): void => {
      clearTimeout(timer)
      secured.destroy()
      socket.destroy()
      const fix =
        'wss:// needs a proxy (or gateway) that speaks TLS on this port; if that is meant to be plain, the page has to say ws://.'
      resolve({ findings: [problem('GW-URL-NO-TLS', `${host} does not speak TLS on this port: ${reason}.`, fix)] })
    }
    const timer = setTimeout(() => fail(`no answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS)
    secured.on('error', ({ message }) => fail(message.trim()))
    secured.on('end', () => fail('it ended the connection'))
    secured.once('secureConnect', () => {
      clearTimeout(timer)
      secured.removeAllListeners('error').on('error', () => {})
      secured.removeAllListeners('end')
      resolve({ findings: checkCertificate(secured, host), socket: secured })
    })
  })
}

function checkCertificate(socket: TLSSocket, host: string): Finding[] {
  const { subjectaltname, valid_to: validTo } = socket.getPeerCertificate()
  const renew = 'Renew it (`certbot renew`), and reload the proxy so that it uses the new one.'
  if (socket.authorized) {
    const leftMs = Date.parse(validTo) - Date.now()
    if (leftMs > EXPIRES_SOON_MS) return []
    return [
      warning(
        'GW-URL-TLS-EXPIRES',
        `The certificate of ${host} expires in ${Math.floor(leftMs / DAY_MS)} days, on ${validTo}.`,
        renew,
      ),
    ]
  }
  // Its type says Error, it is that error's code.
  switch (String(socket.authorizationError)) {
    case 'CERT_HAS_EXPIRED':
      return [problem('GW-URL-TLS-EXPIRED', `The certificate of ${host} has expired on ${validTo}.`, renew)]
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return [
        problem(
          'GW-URL-TLS-NAME',
          `The certificate is not for ${host} but for ${subjectaltname ?? 'nobody'}.`,
          'Get one with this name in it, or let the page connect to a name that is in it.',
        ),
      ]
    default:
      return [
        problem(
          'GW-URL-TLS-UNTRUSTED',
          `Browsers do not trust the certificate of ${host}: ${socket.authorizationError}.`,
          'Give the proxy the whole chain (fullchain.pem, not cert.pem), from a CA that browsers know. If it is your own CA: NODE_EXTRA_CA_CERTS=ca.pem for this command.',
        ),
      ]
  }
}
