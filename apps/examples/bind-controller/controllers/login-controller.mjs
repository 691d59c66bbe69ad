import { promisify } from 'node:util'
import { abort } from '../abort.mjs'
import { Users } from '../models/users.mjs'

/** @import { Request, Response } from 'express' */

export class LoginController {
  /**
   * The name is enough to log in, because this is an example: ask for a password here, or use the login that you have.
   *
   * @param {Request} request `{ name }`
   * @param {Response} response
   */
  async login(request, response) {
    const name = String(request.body.name ?? '').trim()
    if (!/^.{1,24}$/u.test(name)) abort(422, 'A name has 1 to 24 characters.')
    // With a new session id, so that one that somebody planted is worth nothing.
    await promisify(request.session.regenerate.bind(request.session))()
    request.session.userId = Users.firstOrCreate(name).id
    response.json({ status: 'ok' })
  }
}
