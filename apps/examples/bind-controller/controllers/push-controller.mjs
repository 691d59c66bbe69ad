import { Gateway } from '@gatewayworker/gateway-client'
import { abort } from '../abort.mjs'

/** @import { Request, Response } from 'express' */

export class PushController {
  /**
   * Makes the page's connection that of its user, and answers over that connection.
   *
   * @param {Request} request `{ client_id, bind_token }`
   * @param {Response} response
   */
  async bind(request, response) {
    const { user } = response.locals
    const { bind_token, client_id } = request.body
    if (!Gateway.verifyBindToken(client_id, bind_token)) {
      abort(403, 'This connection has not proved that it is yours: connect again.')
    }
    await Gateway.bindUid(client_id, user.id)
    // To this page; sendToUid(user.id, …) would be to every page of the user.
    const { delivered } = await Gateway.sendToClient(client_id, { type: 'user', data: user }, { receipt: true })
    if (delivered === 0) abort(410, 'This connection is gone: connect again.')
    await Gateway.sendToAll({ type: 'enter', data: { user, time: Date.now() } })
    response.json({ status: 'ok' })
  }

  /**
   * To every page that is connected.
   *
   * @param {Request} request `{ content }`
   * @param {Response} response
   */
  async say(request, response) {
    const { user } = response.locals
    const content = String(request.body.content ?? '').trim()
    if (!/^.{1,500}$/su.test(content)) abort(422, 'A text has 1 to 500 characters.')
    await Gateway.sendToAll({ type: 'say', data: { user, content, time: Date.now() } })
    response.json({ status: 'ok' })
  }
}
