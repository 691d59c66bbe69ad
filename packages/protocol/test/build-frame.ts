/** The fields of a frame as wire.md section 2 names them. */
export interface WireFields {
  cmd: number
  local_ip?: number
  local_port?: number
  client_ip?: number
  client_port?: number
  connection_id?: number
  flag?: number
  gateway_port?: number
  ext?: string | Uint8Array
  body?: string | Uint8Array
}

/** A frame written from wire.md alone, without any code of the package: PHP's pack("NCNnNnNCnN"), ext, body. */
export function buildFrame(fields: WireFields): Buffer {
  const ext = Buffer.from(fields.ext ?? '')
  const body = Buffer.from(fields.body ?? '')
  const hex = (value: number, bytes: number) => value.toString(16).padStart(bytes * 2, '0')
  const header = [
    hex(28 + ext.length + body.length, 4),
    hex(fields.cmd, 1),
    hex(fields.local_ip ?? 0, 4),
    hex(fields.local_port ?? 0, 2),
    hex(fields.client_ip ?? 0, 4),
    hex(fields.client_port ?? 0, 2),
    hex(fields.connection_id ?? 0, 4),
    hex(fields.flag ?? 0, 1),
    hex(fields.gateway_port ?? 0, 2),
    hex(ext.length, 4),
  ]
  return Buffer.concat([Buffer.from(header.join(''), 'hex'), ext, body])
}

/** The answer of a legacy gateway from wire.md section 3: uint32 length, then what serialize() wrote, one character a byte. */
export function buildAnswer(serialized: string): Buffer {
  return Buffer.concat([
    Buffer.from(serialized.length.toString(16).padStart(8, '0'), 'hex'),
    Buffer.from(serialized, 'latin1'),
  ])
}
