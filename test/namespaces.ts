import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { describe } from 'vitest'
import { isRunning } from './program.ts'

const run = promisify(execFile)

/** The tools that make networks, and the Debian packages that have them. */
const TOOLS = { ip: 'iproute2', nft: 'nftables', setpriv: 'util-linux', socat: 'socat' }
/** The name of a namespace begins with the process id of whom it belongs to. */
const OWNER = /^gwtest-(\d+)-\S+/

/** A suite that needs network namespaces; skipped where there can be none, and says so. */
export function describeWithNetworks(name: string, suite: () => void): void {
  const reason = whyNoNetworks()
  const skipped = `${name} (skipped: ${reason})`
  if (reason !== undefined) console.warn(skipped)
  describe.skipIf(reason !== undefined)(reason === undefined ? name : skipped, suite)
}

/** Removes a namespace, and ends what still runs there. */
export async function removeNamespace(name: string): Promise<void> {
  const { stdout: pids } = await run('ip', ['netns', 'pids', name]).catch(() => ({ stdout: '' }))
  for (const pid of pids.split('\n')) if (pid !== '' && isRunning(Number(pid))) process.kill(Number(pid), 'SIGKILL')
  await run('ip', ['netns', 'del', name]).catch(() => {}) // it was not made yet
}

/** Removes the namespaces of processes that have ended without doing so. */
export async function removeLeftovers(): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list'])
  const names = stdout.split('\n').map((line) => OWNER.exec(line))
  await Promise.all(names.map((name) => name !== null && !isRunning(Number(name[1])) && removeNamespace(name[0])))
}

/** What scripts/ci.mjs knows those reasons by that no package can mend. */
function whyNoNetworks(): string | undefined {
  if (process.getuid?.() !== 0) return 'not possible here: only root makes network namespaces'
  for (const [tool, name] of Object.entries(TOOLS)) {
    if (spawnSync(tool, ['--version']).error !== undefined) return `${name} is not installed`
  }
  const probe = `gwtest-${process.pid}-probe`
  const script = `ip netns add ${probe} && ip netns del ${probe} && ip tuntap add gw${process.pid} mode tun && ip tuntap del gw${process.pid} mode tun`
  if (spawnSync('bash', ['-c', script]).status !== 0) return 'not possible here: the kernel refuses network namespaces'
  return undefined
}
