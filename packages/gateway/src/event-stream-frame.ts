/** A message as an event: text as lines of `data`, binary in base64 as an event `binary` (HTML standard, section 9.2). */
export function frameEvent(body: Buffer, isBinary: boolean): Buffer {
  return isBinary ? event('binary', body.toString('base64')) : event(undefined, body.toString())
}

/** An event with a name of its own, and JSON or text as its data. */
export function event(name: string | undefined, data: string): Buffer {
  const head = name === undefined ? '' : `event: ${name}\n`
  // The space is for data that begins with one: the client drops the first. Each kind of line break reaches it as \n.
  return Buffer.from(`${head}data: ${data.replace(/\r\n|\r|\n/g, '\ndata: ')}\n\n`)
}
