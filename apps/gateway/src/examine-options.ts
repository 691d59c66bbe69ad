import { examineBinding, examineCluster } from '@gatewayworker/doctor'
import {
  type Examination,
  type ExamineContext,
  type Finding,
  joinExaminations,
  type OptionValues,
  problem,
  readCredentials,
} from '@gatewayworker/supervisor'
import type { gatewayOptions } from './gateway-options.ts'
import { findLanIp } from './lan-ip.ts'
import { loadProtocol } from './load-protocol.ts'
import { loadRouter } from './load-router.ts'
import { readJwtOptions } from './read-jwt-options.ts'
import { readSslFiles, sslFilesFor } from './ssl-files.ts'

type Options = OptionValues<typeof gatewayOptions>

/** What would go wrong at a start of gateways with these options. */
export async function examineOptions(options: Options, context: ExamineContext): Promise<Examination> {
  const elsewhere = options['register-address'].filter((address) => !context.startsHere(address))
  const { listen, protocol, 'ssl-cert': cert, 'ssl-key': key, 'ssl-passphrase': passphrase } = options
  const [cluster, ...own] = await Promise.all([
    examineCluster({ credentials: readCredentials(options), isComplete: false, registers: elsewhere }),
    checkLan(options),
    attempt(() => loadRouter(options.router, context)),
    attempt(() => readJwtOptions(options)),
    attempt(() => loadProtocol(listen.scheme, protocol, context)),
    attempt(() => {
      const files = sslFilesFor(listen.scheme, cert, key, passphrase)
      return files && readSslFiles(files)
    }),
  ])
  const checks = ['--lan-ip', '--secret-key', '--router', '--protocol', '--ssl-cert', '--jwt-secret']
  return joinExaminations([cluster, { checks, findings: own.flat() }])
}

/** Whether the address is one of this host, its port tells: it cannot be listened on otherwise. */
async function checkLan(options: Options): Promise<Finding[]> {
  const { 'lan-ip': lanIp, 'lan-listen': lanListen, 'register-address': registerAddresses } = options
  try {
    const ip = await findLanIp({ isBoundElsewhere: true, lanIp, registerAddresses })
    return await examineBinding(lanListen ?? ip, readCredentials(options).secretKey)
  } catch (error) {
    return [
      problem(
        'GW-LAN-IP-WRONG',
        `${(error as Error).message}.`,
        'It is the address under which workers and backends reach this host.',
      ),
    ]
  }
}

/** Does what a start does, for what it would refuse. */
async function attempt(read: () => unknown): Promise<Finding[]> {
  try {
    await read()
    return []
  } catch (error) {
    return [problem('GW-OPTION-WRONG', `${(error as Error).message}.`, 'A start would be refused: correct it there.')]
  }
}
