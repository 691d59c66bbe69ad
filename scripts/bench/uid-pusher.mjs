// Binds a uid to each client of a cluster, then pushes to one of them after the other: with the index of where they are, or to all
// gateways as without it. `node uid-pusher.mjs REGISTER index|all PUSHES_PER_TURN SECONDS` says when it begins, and then what it did.
import { setImmediate as turn } from 'node:timers/promises'
import { GatewayClient, GatewayPool } from '@gatewayworker/gateway-client'

/** So many, and it waits until the gateways have done what they were told. */
const PUSHES_PER_ANSWER = 10_000
const WARM_UP_MS = 1_000
const MESSAGE = 'x'.repeat(64)

const [registerAddress, way, perTurn, seconds] = process.argv.slice(2)
const pool = new GatewayPool({ registerAddresses: [registerAddress], role: { kind: 'client' } })
await pool.whenLinked(10_000)
if (way === 'all') pool.holdersOf = (uids) => Array.from(pool.gateways, (gateway) => ({ gateway, uids }))
const gateway = new GatewayClient({ registerAddress })
gateway.usePool(pool)

const clientIds = await gateway.getAllClientIdList()
await Promise.all(clientIds.map((clientId) => gateway.bindUid(clientId, `user ${clientId}`)))
await pushFor(WARM_UP_MS)
say({ msg: 'begin' })
const [cpuBefore, toldBefore, began] = [process.cpuUsage(), pool.toldOrders, performance.now()]
const pushes = await pushFor(Number(seconds) * 1000)
const { system, user } = process.cpuUsage(cpuBefore)
const tookMs = performance.now() - began
say({ cpuUs: system + user, frames: pool.toldOrders - toldBefore, msg: 'end', pushes, tookMs })

/** How many pushes that were, all of them done. */
async function pushFor(durationMs) {
  const end = performance.now() + durationMs
  let count = 0
  while (performance.now() < end) {
    for (const batchEnd = count + PUSHES_PER_ANSWER; count < batchEnd; count += 1) {
      if (count % Number(perTurn) === 0) await turn()
      await gateway.sendToUid(`user ${clientIds[count % clientIds.length]}`, MESSAGE)
    }
    await gateway.getAllClientIdCount()
  }
  return count
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
