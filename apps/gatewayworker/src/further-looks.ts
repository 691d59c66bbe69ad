import { examineCluster, examineUrl } from '@gatewayworker/doctor'
import {
  credentialOptions,
  type FurtherLooks,
  joinExaminations,
  optionTypes,
  readCredentials,
} from '@gatewayworker/supervisor'

const options = {
  'as-backend-of': {
    describe: 'Look as a backend on this host would, at the cluster of this register; may be repeated',
    flagOnly: true,
    type: optionTypes.list(optionTypes.registerAddress),
  },
  ...credentialOptions,
  url: {
    describe: 'Connect as a browser would, by way of DNS, TLS and every proxy',
    flagOnly: true,
    type: optionTypes.clientUrl,
  },
  idle: {
    default: 0,
    describe: 'Hold the connection of --url open for so long in silence, to find out who cuts it',
    flagOnly: true,
    type: optionTypes.seconds,
  },
} as const

/** What `gatewayworker doctor` looks at from outside: a cluster as a backend sees it, and the way that clients come. */
export const furtherLooks: FurtherLooks<typeof options> = {
  examine(values) {
    const { 'as-backend-of': registers, idle, url } = values
    const looks = []
    if (registers !== undefined)
      looks.push(examineCluster({ credentials: readCredentials(values), isComplete: true, registers }))
    if (url !== undefined) looks.push(examineUrl(url, idle * 1000))
    return looks.length === 0 ? undefined : Promise.all(looks).then(joinExaminations)
  },
  options,
}
