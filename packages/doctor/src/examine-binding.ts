import { findAddressToBind, GatewayWorkerError } from '@gatewayworker/protocol'
import { type Finding, problem } from '@gatewayworker/supervisor'

/** Whether a port for the cluster would be bound there: not where everybody could come and nobody is asked for a secret. */
export async function examineBinding(host: string, secretKey: string): Promise<Finding[]> {
  try {
    await findAddressToBind(host, secretKey)
    return []
  } catch (error) {
    // Names that stand for nothing are found when its port is tried.
    if (!(error instanceof GatewayWorkerError)) return []
    return [
      problem('GW-SECRET-MISSING', `${error.message}.`, `${error.advice} \`openssl rand -hex 32\` makes a secret key.`),
    ]
  }
}
