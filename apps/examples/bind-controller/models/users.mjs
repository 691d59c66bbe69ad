/** @typedef {{ id: number, name: string, color: string }} User what pages are sent: keep passwords elsewhere */

const COLORS = ['#0f766e', '#a15c00', '#6d4bc3', '#b3261e', '#2563a8']
/** @type {User[]} */
const rows = []

/** The users of this example, in the process's memory. Ids start at 1: GatewayWorker takes 0 for nobody. */
export const Users = {
  find: (/** @type {number | undefined} */ id) => rows.find((user) => user.id === id),

  firstOrCreate: (/** @type {string} */ name) => rows.find((user) => user.name === name) ?? create(name),
}

/** @param {string} name @returns {User} */
function create(name) {
  const user = { id: rows.length + 1, name, color: COLORS[rows.length % COLORS.length] ?? 'gray' }
  rows.push(user)
  return user
}
