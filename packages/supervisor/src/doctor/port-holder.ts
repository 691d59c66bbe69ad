import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const LISTENING = '0A'

/** Which process listens on a TCP port of this host, as far as Linux and this user's rights tell; undefined otherwise. */
export function findPortHolder(port: number): { name: string; pid: number } | undefined {
  try {
    const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port)))
    return findSocketHolder(inodes)
  } catch {
    return undefined
  }
}

/** Which process has one of these sockets open; undefined where that cannot be told. */
export function findSocketHolder(inodes: ReadonlySet<string>): { name: string; pid: number } | undefined {
  if (inodes.size === 0) return undefined
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && holdsSocket(name, inodes))
  return pid === undefined ? undefined : { name: nameOf(pid), pid: Number(pid) }
}

function listeningInodes(file: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.endsWith(`:${hex}`) && state === LISTENING)
    .map((fields) => fields[9]!)
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => isOneOf(`/proc/${pid}/fd/${fd}`, inodes))
  } catch {
    // It has ended, or belongs to another user.
    return false
  }
}

function isOneOf(path: string, inodes: ReadonlySet<string>): boolean {
  try {
    const [, inode = ''] = /^socket:\[(\d+)\]$/.exec(readlinkSync(path)) ?? []
    return inodes.has(inode)
  } catch {
    return false
  }
}

/** Its title, if it is one of ours, else its program's name. */
function nameOf(pid: string): string {
  const [title = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  return title.startsWith('gatewayworker: ') ? title.trim() : readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
}
