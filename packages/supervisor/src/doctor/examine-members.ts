import { type ChildProcess, fork } from 'node:child_process'
import { childFile } from '../app-process.ts'
import { type AppMember, type ClusterMember, groupSettings } from '../cluster-members.ts'
import type { MessageToMaster, StartFailure } from '../messages.ts'
import { sendTo } from '../process-run.ts'
import { childDirectory } from '../working-directory.ts'
import { type Examination, type PlacedExamination, problem } from './examination.ts'
import { examinePorts } from './examine-ports.ts'
import { examineProcess } from './examine-process.ts'
import { type PlannedPort, planPorts } from './planned-ports.ts'

/** What a group examines has to fit into it, user's modules included, from when its process is up. */
const EXAMINE_TIMEOUT_MS = 9_000

/** A busy machine takes its time to bring one up. */
const UP_TIMEOUT_MS = 20_000

/** Finds out what would go wrong at a start of a cluster that does not run. */
export async function examineMembers(members: readonly ClusterMember[]): Promise<PlacedExamination[]> {
  const ports = planPorts(members)
  const apps = members.filter((member): member is AppMember => 'app' in member && member.app.examine !== undefined)
  return [
    { where: 'this host', ...examineProcess() },
    { where: 'this host', ...(await examinePorts(ports)) },
    // While they listen on no port any more: whoever dials one must not reach us.
    ...(await Promise.all(apps.map((member) => examineMember(member, ports)))),
  ]
}

/** In a process of its own, since it may load a user's module, which may do anything. */
async function examineMember(member: AppMember, ports: readonly PlannedPort[]): Promise<PlacedExamination> {
  const { name } = groupSettings(member)
  const { app, options } = member
  const child = fork(childFile, { cwd: childDirectory(), stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const kill = (): void => void child.kill('SIGKILL')
  let timer = setTimeout(kill, UP_TIMEOUT_MS)
  child.on('message', (message: MessageToMaster) => {
    if (message.type !== 'hello') return
    clearTimeout(timer)
    timer = setTimeout(kill, EXAMINE_TIMEOUT_MS)
    const addresses = ports.map(({ host, port }) => ({ host, port }))
    sendTo(child, { addresses, module: app.module, name, options, type: 'examine' })
  })
  const examination = await outcome(child)
  clearTimeout(timer)
  return { where: name, ...examination }
}

/** An option that is refused needs no stack. */
function failed({ message, stack }: StartFailure): Examination {
  const code = stack === undefined ? 'GW-OPTION-WRONG' : 'GW-CHECK-FAILED'
  return {
    checks: ['options'],
    findings: [problem(code, `${message}.`, 'A start would be refused: correct it there.')],
  }
}

function outcome(child: ChildProcess): Promise<Examination> {
  return new Promise((resolve) => {
    const fail = (what: string): void => {
      const fix = 'This is what a start would meet, too: try it in the foreground, where it says more.'
      resolve({ checks: ['loads'], findings: [problem('GW-CHECK-FAILED', what, fix)] })
    }
    child.on('message', (message: MessageToMaster) => {
      if (message.type === 'examined') resolve(message.examination)
      if (message.type === 'failed') resolve(failed(message.failure))
    })
    child.once('error', ({ message }) => fail(`The group could not be examined: ${message}`))
    child.once('exit', (code, signal) => {
      const isTooSlow = signal === 'SIGKILL'
      fail(
        isTooSlow
          ? `Loading it did not end within ${EXAMINE_TIMEOUT_MS / 1000} s.`
          : `Loading it ended the process with ${signal ?? `code ${code}`}.`,
      )
    })
  })
}
