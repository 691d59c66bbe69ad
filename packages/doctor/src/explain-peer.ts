import { type Credentials, GatewayWorkerError } from '@gatewayworker/protocol'
import { type Finding, parseAddress, problem } from '@gatewayworker/supervisor'
import { identify } from './identify.ts'

const SAME_SECRET =
  'Give the register, the gateways, the workers and the backends the same --secret-key (GW_SECRET_KEY, secretKey).'

const SAME_TLS =
  'Give every process of the cluster --tls-ca, --tls-cert and --tls-key, with certificates of the same CA that have not expired, or none of them.'

/** Who was expected somewhere. */
export interface Expected {
  /** "host:port". */
  address: string
  /** The code and the words for something else being there. */
  elsewhere(what: string): Finding
  /** Such as "The register 10.0.0.1:1236". */
  name: string
}

/** Why somebody who can be reached does not let us in, or is not who was expected; `error` is undefined for one that says nothing. */
export async function explainPeer(
  { address, elsewhere, name }: Expected,
  credentials: Credentials,
  error: Error | undefined,
): Promise<Finding> {
  const code = error instanceof GatewayWorkerError ? error.code : undefined
  if (code === 'WRONG_SECRET') return problem('GW-SECRET-WRONG', `${name} has another secret key.`, SAME_SECRET)
  if (code === 'WRONG_VERSION') {
    return problem('GW-VERSION', `${name} speaks another version.`, (error as GatewayWorkerError).advice)
  }
  const { tls } = credentials
  const other = await identify(parseAddress(address))
  if (other === 'tls' && tls === undefined) {
    return problem('GW-TLS-DIFFERS', `${name} speaks TLS, and this process does not.`, SAME_TLS)
  }
  if (tls !== undefined && other !== 'http') {
    return problem(
      'GW-TLS-DIFFERS',
      `${name} and this process come to no terms over TLS: ${error?.message ?? 'no answer'}.`,
      SAME_TLS,
    )
  }
  if (other !== undefined && other !== 'tls') return elsewhere(WORDS[other])
  if (code === 'LEGACY_NOT_ALLOWED') {
    const what = `${name} ends the connection without a word, as one of PHP does that wants the secret key in clear.`
    return problem('GW-LEGACY-NOT-ALLOWED', what, (error as GatewayWorkerError).advice)
  }
  if (code === 'HELLO_REFUSED') {
    return problem('GW-SECRET-WRONG', `${name} ends the connection as soon as it has read the secret key.`, SAME_SECRET)
  }
  return elsewhere('something else')
}

const WORDS = {
  clients: 'the port of a gateway for clients',
  http: 'an HTTP server',
  lan: 'the LAN port of a gateway',
} as const
