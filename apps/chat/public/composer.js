import { byId } from './dom.js'

/** @typedef {import('./member-list.js').Member} Member */

/**
 * The box that messages are written in, and to whom they go: everyone, or one person.
 *
 * When that person leaves, the box keeps the text and refuses to send until somebody is chosen: what was meant for one
 * must not reach all.
 */
export class Composer {
  #form = byId('composer', HTMLFormElement)
  #text = byId('text', HTMLTextAreaElement)
  #send = byId('send', HTMLButtonElement)
  #target = byId('target', HTMLElement)
  #targetName = byId('target-name', HTMLElement)
  #targetBefore = byId('target-before', HTMLElement)
  #targetAfter = byId('target-after', HTMLElement)
  #on
  /** @type {Member | undefined} */
  #member
  #isGone = false

  /**
   * @param {{ onSend(content: string, target: Member | undefined): void, onTarget(target: Member | undefined): void }} on
   *   the target is undefined for everyone
   */
  constructor(on) {
    this.#on = on
    this.#form.addEventListener('submit', (event) => this.#onSubmit(event))
    this.#text.addEventListener('keydown', (event) => this.#onKeyDown(event))
    this.#text.addEventListener('input', () => this.#onInput())
    byId('target-clear', HTMLButtonElement).addEventListener('click', () => {
      this.writeTo(undefined)
      this.focus()
    })
  }

  /** @param {Member | undefined} member undefined for everyone */
  writeTo(member) {
    this.#member = member
    this.#isGone = false
    this.#show()
    this.#on.onTarget(member)
  }

  /** @param {(clientId: string) => boolean} isPresent */
  checkTarget(isPresent) {
    const isGone = this.#member !== undefined && !isPresent(this.#member.clientId)
    if (isGone === this.#isGone) return
    this.#isGone = isGone
    this.#show()
  }

  focus() {
    this.#text.focus()
  }

  #show() {
    this.#form.classList.toggle('private', this.#member !== undefined)
    this.#target.hidden = this.#member === undefined
    this.#targetName.textContent = this.#member?.name ?? ''
    this.#targetBefore.textContent = this.#isGone ? '' : 'To '
    this.#targetAfter.textContent = this.#isGone ? ' has left' : ' only'
    this.#text.placeholder = this.#member ? 'Private message' : 'Message to everyone'
    this.#onInput()
  }

  #onInput() {
    this.#send.disabled = this.#isGone || this.#text.value.trim() === ''
    this.#text.style.height = 'auto'
    this.#text.style.height = `${this.#text.scrollHeight}px`
  }

  /** @param {KeyboardEvent} event */
  #onKeyDown(event) {
    // Enter that ends the input of a Chinese or Japanese word belongs to that word.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault()
      if (!this.#send.disabled) this.#form.requestSubmit()
    } else if (event.key === 'Escape' && this.#member) {
      this.writeTo(undefined)
    }
  }

  /** @param {SubmitEvent} event */
  #onSubmit(event) {
    event.preventDefault()
    const content = this.#text.value.trim()
    if (!content || this.#isGone) return
    this.#text.value = ''
    this.#onInput()
    this.#text.focus()
    this.#on.onSend(content, this.#member)
  }
}
