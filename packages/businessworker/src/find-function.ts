import { type Debugger, Session } from 'node:inspector'
import { findSourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Where the debugger finds the function that is asked for. */
const PROPERTY = 'gatewayworker.function'

/** What was found before: to look takes tens of milliseconds. */
const found = new WeakMap<object, string | undefined>()

/** "FILE:LINE" where a function is written; undefined if that cannot be told. For reports of what should not happen. */
export function findFunction(fn: object | undefined): string | undefined {
  if (fn !== undefined && !found.has(fn)) found.set(fn, locate(fn))
  return fn && found.get(fn)
}

function locate(fn: object): string | undefined {
  const session = new Session()
  const urls = new Map<string, string>()
  try {
    session.connect()
    session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url))
    session.post('Debugger.enable')
    Object.defineProperty(globalThis, PROPERTY, { configurable: true, value: fn })
    let objectId: string | undefined
    session.post('Runtime.evaluate', { expression: `globalThis[${JSON.stringify(PROPERTY)}]` }, (_error, evaluated) => {
      objectId = evaluated?.result.objectId
    })
    let location: Debugger.Location | undefined
    if (objectId !== undefined) {
      session.post('Runtime.getProperties', { objectId, ownProperties: true }, (_error, properties) => {
        const internal = properties?.internalProperties?.find(({ name }) => name === '[[FunctionLocation]]')
        location = internal?.value?.value as Debugger.Location | undefined
      })
    }
    return location && describe(urls.get(location.scriptId), location)
  } catch {
    return undefined // a build without inspector, or one whose inspector is taken
  } finally {
    Reflect.deleteProperty(globalThis, PROPERTY)
    session.disconnect()
  }
}

function describe(url: string | undefined, { columnNumber = 0, lineNumber }: Debugger.Location): string | undefined {
  if (url === undefined || url === '') return undefined
  const original = findSourceMap(url)?.findEntry(lineNumber, columnNumber)
  const isMapped = original !== undefined && 'originalLine' in original
  const file = isMapped ? original.originalSource : url
  const line = (isMapped ? original.originalLine : lineNumber) + 1
  return `${file.startsWith('file:') ? fileURLToPath(file.split('?')[0]!) : file}:${line}`
}
