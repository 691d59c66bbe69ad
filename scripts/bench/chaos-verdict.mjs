import { readFileSync } from 'node:fs'

/** @typedef {import('./chaos-client.mjs').ConnectionRecord} ConnectionRecord */

/**
 * One line of the ledger. A cluster whose deliveries have ids writes the same id, and `redelivered`, when an event comes again.
 *
 * @typedef {object} LedgerLine
 * @property {string} clientId
 * @property {'connect' | 'close'} event
 * @property {string} [messageId]
 * @property {boolean} [redelivered]
 */

/** The whole lines of a ledger from a position in bytes on. */
export function readLedger(path, from) {
  const text = readFileSync(path).subarray(from).toString()
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
}

/**
 * What came of the messages. One that was not answered is lost, unless its gateway was killed before a later one was answered.
 *
 * @param {ConnectionRecord[]} connections
 */
export function judgeConnections(connections) {
  const sums = { sent: 0, judged: 0, lost: 0, redelivered: 0, doubled: 0, repeatedWithMark: 0, outOfOrder: 0 }
  for (const { answers, sent, state } of connections) {
    const seen = new Set()
    let highest = 0
    for (const { number, redelivered } of answers) {
      if (!seen.has(number)) {
        if (number < highest) sums.outOfOrder += 1
        if (redelivered) sums.redelivered += 1
        highest = Math.max(highest, number)
        seen.add(number)
      } else if (redelivered) sums.repeatedWithMark += 1
      else sums.doubled += 1
    }
    // What the end of the connection took along says nothing, but for one that should not have ended.
    const judged = state === 'killed' || state === 'left' ? highest : sent
    sums.sent += sent
    sums.judged += judged
    sums.lost += judged - seen.size
  }
  const count = (state) => connections.filter((connection) => connection.state === state).length
  return {
    connections: connections.length,
    survived: count('open'),
    killed: count('killed'),
    left: count('left'),
    cutOff: count('cut off'),
    ...sums,
  }
}

/**
 * What came of the clients' beginnings and ends: every onConnect has to have one onClose. A client id may be given out
 * again, so the lines of one id are followed in their order.
 *
 * @param {LedgerLine[]} lines
 * @param {ConnectionRecord[]} connections
 */
export function judgeLedger(lines, connections) {
  const sums = {
    connects: 0,
    ghosts: 0,
    ghostsOfKilled: 0,
    closedTwice: 0,
    repeatedCloses: 0,
    closedOnly: 0,
    idsReused: 0,
  }
  const events = new Set()
  const clients = new Map()
  for (const { clientId, event, messageId, redelivered } of lines) {
    const isAgain = messageId !== undefined && events.has(messageId)
    events.add(messageId)
    if (isAgain && redelivered) {
      if (event === 'close') sums.repeatedCloses += 1
      continue
    }
    const client = clients.get(clientId) ?? { ghosts: 0, isOpen: false, wasOpen: false }
    clients.set(clientId, client)
    if (event === 'connect') {
      sums.connects += 1
      if (client.isOpen) client.ghosts += 1
      if (client.wasOpen) sums.idsReused += 1
      client.wasOpen = true
    } else if (!client.wasOpen) sums.closedOnly += 1
    else if (!client.isOpen) sums.closedTwice += 1
    client.isOpen = event === 'connect'
  }
  const killed = new Map()
  for (const { clientId, state } of connections) {
    if (state === 'killed') killed.set(clientId, (killed.get(clientId) ?? 0) + 1)
  }
  for (const [clientId, { ghosts, isOpen }] of clients) {
    const all = ghosts + (isOpen ? 1 : 0)
    sums.ghosts += all
    sums.ghostsOfKilled += Math.min(all, killed.get(clientId) ?? 0)
  }
  return sums
}

const LABELS = {
  connections: 'connections',
  survived: '  open at the end',
  killed: '  ended with their gateway',
  left: '  ended by the client',
  cutOff: '  cut off, though their gateway lived',
  sent: 'messages',
  judged: '  but for those that the end of their connection took along',
  lost: '    lost: never answered',
  redelivered: '    answered once, after a redelivery',
  doubled: 'answered twice without a mark',
  repeatedWithMark: 'answered again, marked as redelivered',
  outOfOrder: 'out of order',
  connects: 'onConnect',
  ghosts: '  ghosts: without an onClose',
  ghostsOfKilled: '    of these, their gateway was killed',
  closedTwice: 'onClose twice without a mark',
  repeatedCloses: 'onClose again, marked as redelivered',
  closedOnly: 'onClose without an onConnect',
  idsReused: 'client ids given out again',
}

/** The figures as a table for a terminal. */
export function formatVerdict({ deeds, seed, ...figures }) {
  const done = Object.entries(deeds).map(([deed, times]) => `${deed} ${times} ×`)
  const rows = Object.entries(LABELS).map(([key, label]) => `${label.padEnd(62)}${String(figures[key]).padStart(7)}`)
  return `seed ${seed}: ${done.join(', ')}\n${rows.join('\n')}\n`
}
