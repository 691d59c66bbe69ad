import type { Socket } from 'node:net'
import { type Examination, type Finding, problem } from '@gatewayworker/supervisor'
import { reach } from '../reach.ts'
import { explainAnswer } from './explain-answer.ts'
import { FrameChannel } from './frame-channel.ts'
import { shakeHands } from './shake-hands.ts'
import { showUrl } from './show-url.ts'
import { startTls } from './start-tls.ts'

/** How long a ping may take at first: a gateway without workers does not read, and closes after 5 s (--no-worker-timeout). */
const FIRST_PONG_TIMEOUT_MS = 6_000

/** How long a ping may take once one was answered. */
const PONG_TIMEOUT_MS = 3_000

/** A heartbeat comes well before whoever cuts silent connections. */
const HEARTBEAT_SHARE = 0.8

/** The close code of a gateway that has no worker. */
const NO_WORKER = 1013

/**
 * Connects to the gateways as a page does, by way of DNS, TLS and every proxy, and says and hears something; with `idleMs`, holds the connection
 * in silence for so long. To the gateway it is a client like any other, with onConnect and onClose.
 */
export async function examineUrl(url: URL, idleMs: number): Promise<Examination> {
  const checks = [`${showUrl(url)}: DNS and TCP`]
  const findings: Finding[] = []
  const socket = await connect(url, checks, findings)
  if (socket === undefined) return { checks, findings }
  try {
    const answer = await shakeHands(url, socket)
    checks.push(`${showUrl(url)}: WebSocket handshake`)
    if (!('head' in answer)) return { checks, findings: [...findings, explainAnswer(url, answer)] }
    const channel = new FrameChannel(answer.socket, answer.head)
    checks.push(`${showUrl(url)}: messages`)
    const silence = await checkMessages(url, channel)
    if (silence !== undefined || idleMs === 0) return { checks, findings: [...findings, ...(silence ?? [])] }
    checks.push(`${showUrl(url)}: ${idleMs / 1000} s of silence`)
    return { checks, findings: [...findings, ...(await checkIdle(url, channel, idleMs))] }
  } finally {
    socket.destroy()
  }
}

async function connect(url: URL, checks: string[], findings: Finding[]): Promise<Socket | undefined> {
  const isTls = url.protocol === 'wss:'
  const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || (isTls ? 443 : 80) }
  const reached = await reach(address, {
    code: 'GW-URL-UNREACHABLE',
    fix: `Does the proxy or the gateway run, does it listen on port ${address.port} of an address that is reached from here, does a firewall let clients through?`,
    name: 'the public address',
  })
  if ('finding' in reached) {
    findings.push(reached.finding)
    return undefined
  }
  if (!isTls) return reached.socket
  checks.push(`${showUrl(url)}: TLS`)
  const secured = await startTls(reached.socket, address)
  findings.push(...secured.findings)
  return secured.socket
}

/** A ping, since that reaches no business code; its answer proves that frames pass in both directions. Undefined if it comes. */
async function checkMessages(url: URL, channel: FrameChannel): Promise<Finding[] | undefined> {
  const end = await channel.ping(FIRST_PONG_TIMEOUT_MS)
  if (end === 'answered') return undefined
  if (end === 'unanswered') {
    const what = `${showUrl(url)} takes the WebSocket handshake, and then nothing that is sent comes through within ${FIRST_PONG_TIMEOUT_MS / 1000} s.`
    return [
      problem(
        'GW-URL-SILENT',
        what,
        'A proxy holds the bytes back: switch buffering and inspection off for this location (nginx: `proxy_buffering off;`), or put an LB in TCP mode.',
      ),
    ]
  }
  return [explainEnd(url, channel, 'at once')]
}

async function checkIdle(url: URL, channel: FrameChannel, idleMs: number): Promise<Finding[]> {
  const wasCut = await channel.endsWithin(idleMs)
  const silentMs = performance.now() - channel.lastHeardAt
  const silence = `after ${inSeconds(silentMs)} in which nothing was said`
  if (wasCut && channel.closeCode !== undefined) return [explainEnd(url, channel, silence)]
  const isDead = !wasCut && (await channel.ping(PONG_TIMEOUT_MS)) !== 'answered'
  if (!wasCut && !isDead) return []
  const intervalS = Math.max(1, Math.floor((silentMs / 1000) * HEARTBEAT_SHARE))
  const what = wasCut
    ? `${showUrl(url)} was cut off ${silence}.`
    : `${showUrl(url)} was dead ${silence}, and nobody was told.`
  const fix = `Something on the way forgets silent connections: give the gateways --ping-interval ${intervalS} or less with --ping-data, or --idle-timeout ${2 * intervalS} (they ask halfway), and raise the proxy's time-out (nginx: \`proxy_read_timeout 3600s; proxy_send_timeout 3600s;\`; HAProxy: timeout tunnel; AWS ALB: idle timeout).`
  return [problem('GW-URL-IDLE-CUT', what, fix)]
}

function explainEnd(url: URL, { closeCode }: FrameChannel, when: string): Finding {
  const how = closeCode === undefined ? 'without a word' : `with code ${closeCode}`
  const fix =
    closeCode === NO_WORKER
      ? 'No worker came within --no-worker-timeout: is one running? `gatewayworker doctor` on its host says what keeps it away.'
      : 'The log of the gateway says why; onConnect and onWebSocketConnect of your Events may close clients, and --ping-not-response-limit those that are silent.'
  return problem(
    'GW-URL-CLOSED',
    `${showUrl(url)} takes the WebSocket handshake and closes the connection ${when}, ${how}.`,
    fix,
  )
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
