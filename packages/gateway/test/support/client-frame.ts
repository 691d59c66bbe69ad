/** A frame as a client sends it, masked with zeros, which leave its payload as it is. `first`: FIN, reserved bits and opcode. */
export function clientFrame(first: number, payload: string | Buffer = ''): Buffer {
  const body = Buffer.from(payload)
  const header = body.length < 126 ? Buffer.of(first, 0x80 | body.length) : Buffer.alloc(body.length < 65_536 ? 4 : 10)
  if (body.length >= 126) {
    header[0] = first
    header[1] = 0x80 | (body.length < 65_536 ? 126 : 127)
    if (body.length < 65_536) header.writeUInt16BE(body.length, 2)
    else header.writeUInt32BE(body.length, 6)
  }
  return Buffer.concat([header, Buffer.alloc(4), body])
}

/** As many of them as fit into so many bytes. */
export function repeat(bytes: Buffer, lengthBytes: number): Buffer {
  return Buffer.concat(Array(Math.max(Math.floor(lengthBytes / bytes.length), 1)).fill(bytes))
}
