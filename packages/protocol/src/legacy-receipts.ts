import { Command } from './commands.ts'

type Ask = (question: number, ext: string) => Promise<unknown>
/** How many clients took a message, and how many were too slow to. */
type Receipt = [taken: number, slow: number]

/**
 * PHP's gateways do not say who took a message, so they are asked behind it, on the same link, who was there to. Returns undefined for a
 * command that is no send.
 */
export function askWhoGetsIt(command: number, ext: string, ask: Ask): (() => Promise<Receipt>) | undefined {
  switch (command) {
    case Command.SEND_TO_ONE:
      return async () => [Number(await ask(Command.IS_ONLINE, '')), 0]
    case Command.SEND_TO_UID:
      return async () => {
        const uids = (JSON.parse(ext) as unknown[]).map(String)
        const clients = (await ask(Command.BATCH_GET_CLIENT_ID_BY_UID, ext)) as Map<string, number[]>
        return [sum(uids.map((uid) => clients.get(uid)?.length ?? 0)), 0]
      }
    case Command.SEND_TO_GROUP:
      return async () => {
        const { exclude, group } = JSON.parse(ext) as { exclude: object | null; group: string[] }
        const where = JSON.stringify({ fields: ['groups'], where: { groups: group } })
        const rows = withoutKeys((await ask(Command.SELECT, where)) as Map<number, Map<string, unknown>>, exclude)
        const joined = rows.map((row) => row.get('groups') as Map<string, string>)
        return [sum(joined.map((groups) => group.filter((name) => groups.has(String(name))).length)), 0]
      }
    case Command.SEND_TO_ALL:
      return async () => {
        const { connections, exclude } = (ext === '' ? {} : JSON.parse(ext)) as {
          connections?: object
          exclude?: object
        }
        const where = connections === undefined ? [] : { connection_id: Object.values(connections) }
        const rows = await ask(Command.SELECT, JSON.stringify({ fields: ['uid'], where }))
        return [withoutKeys(rows as Map<number, unknown>, exclude).length, 0]
      }
    default:
      return undefined
  }
}

function withoutKeys<Row>(rows: Map<number, Row>, excluded: object | null | undefined): Row[] {
  const ids = new Set(Object.keys(excluded ?? {}).map(Number))
  return Array.from(rows).flatMap(([id, row]) => (ids.has(id) ? [] : [row]))
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
