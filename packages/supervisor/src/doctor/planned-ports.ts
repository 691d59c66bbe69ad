import { parseAddress } from '../address.ts'
import { type ClusterMember, groupSettings } from '../cluster-members.ts'
import type { ListenOption } from '../define-app.ts'

/** A port that a process of a cluster is going to listen on. */
export interface PlannedPort extends ListenOption {
  /** Of the group. */
  name: string
}

/** All ports of all processes, but for those that are any free one. */
export function planPorts(members: readonly ClusterMember[]): PlannedPort[] {
  return members.flatMap((member) => {
    const { count, name } = groupSettings(member)
    if ('script' in member) return scriptPorts(member.listen).map((listen) => ({ ...listen, name }))
    const { app, optionNames = {}, options } = member
    const named = (text: string) => text.replace(/--[a-z-]+/g, (option) => optionNames[option] ?? option)
    return Array.from({ length: count }, (_, index) => app.ports?.(options, index) ?? [])
      .flat()
      .filter(({ port }) => port !== 0)
      .map((listen) => ({
        ...listen,
        hostOption: named(listen.hostOption),
        name,
        portOption: named(listen.portOption),
      }))
  })
}

function scriptPorts(listen: string | undefined): ListenOption[] {
  const { groups } = /^[a-z]+:\/\/(?<address>[^/]+)/.exec(listen ?? '') ?? {}
  if (groups === undefined) return []
  return [{ ...parseAddress(groups.address!), hostOption: '', portOption: '--port' }]
}
