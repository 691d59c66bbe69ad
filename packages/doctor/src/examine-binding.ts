import { findAddressToBind, GatewayWorkerError, isLoopback, isShortSecret } from '@gatewayworker/protocol'
import { type Finding, problem, warning } from '@gatewayworker/supervisor'

const MAKE_ONE =
  '`openssl rand -hex 24` makes a secret key; give it to the whole cluster with --secret-key-file, --secret-key or GW_SECRET_KEY.'

/** Whether a port for the cluster would be bound there, and what the secret is worth to those who can reach it. */
export async function examineBinding(host: string, secretKey: string): Promise<Finding[]> {
  try {
    const address = await findAddressToBind(host, secretKey)
    return isLoopback(address) ? examineLength(secretKey) : examinePresence(host, secretKey)
  } catch (error) {
    // Names that stand for nothing are found when its port is tried.
    if (!(error instanceof GatewayWorkerError)) return []
    const code = error.code === 'WEAK_SECRET' ? 'GW-SECRET-WEAK' : 'GW-SECRET-MISSING'
    return [problem(code, `${error.message}.`, MAKE_ONE)]
  }
}

function examineLength(secretKey: string): Finding[] {
  if (!isShortSecret(secretKey)) return []
  const what = 'The secret key has fewer than 16 characters: whoever is given a bind token can guess it.'
  return [warning('GW-SECRET-WEAK', what, MAKE_ONE)]
}

function examinePresence(host: string, secretKey: string): Finding[] {
  if (secretKey !== '') return []
  const what = `There is no secret key, and other hosts can reach ${host}: each of them can read and push everything, and announce any address, which workers then dial.`
  return [warning('GW-SECRET-MISSING', what, MAKE_ONE)]
}
