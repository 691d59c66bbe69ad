import { create, createAvatar } from './dom.js'

const longestList = 500
const sameBreathMs = 5 * 60_000
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
// Ends before punctuation that more likely belongs to the sentence than to the address.
const linkPattern = /https?:\/\/[^\s<>"']*[^\s<>"'.,:;!?)\]}]/g

/**
 * @typedef {object} Message
 * @property {string} author the client id, or 'me' for our own
 * @property {string} name the author's
 * @property {string} content
 * @property {string} [privately] whose eyes it is for, as shown: 'to Ann', 'to you'
 * @property {number} time milliseconds since 1970
 */

/** The list of messages and notices: follows the newest while its reader is at the end, and forgets the oldest. */
export class MessageList {
  #list
  #scroller
  #onUnseen
  #isAtEnd = true
  #isScrollPlanned = false
  #lastDay = ''
  /** The newest message, as long as a further one of its author continues it. @type {Message | undefined} */
  #lastMessage
  /** The newest notice about who came or went, as long as further names can be added to it. */
  #lastPresence = {
    kind: '',
    names: /** @type {string[]} */ ([]),
    item: /** @type {HTMLElement | undefined} */ (undefined),
  }

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} list
   * @param {(isUnseen: boolean) => void} onUnseen called when the first message arrives below what is in view, and when
   *   the end is in view again
   */
  constructor(scroller, list, onUnseen) {
    this.#scroller = scroller
    this.#list = list
    this.#onUnseen = onUnseen
    scroller.addEventListener('scroll', () => this.#onScroll(), { passive: true })
    // The keyboard of a phone or a longer message box takes height: who was at the end stays there.
    new ResizeObserver(() => this.#isAtEnd && this.scrollToEnd()).observe(scroller)
  }

  /**
   * Adds a message and returns its item, for `markWaiting`, `markSent` and `markFailed`.
   *
   * @param {Message} message
   */
  addMessage(message) {
    this.#addDay(message.time)
    const isOwn = message.author === 'me'
    const item = create('li', isOwn ? 'message own' : 'message')
    if (message.privately) item.classList.add('private')
    if (this.#continues(message)) item.classList.add('continued')

    const head = create('div', 'head')
    const name = create('bdi', 'name', isOwn ? 'You' : message.name)
    head.append(name)
    if (message.privately) head.append(create('span', 'privately', `privately ${message.privately}`))
    const bubble = create('div', 'bubble')
    bubble.dir = 'auto'
    const content = create('span', 'content')
    content.append(...linked(message.content))
    bubble.append(content, createTime(message.time))
    if (!isOwn) item.append(createAvatar(message.name))
    item.append(head, bubble)
    this.#append(item, isOwn)
    this.#lastMessage = message
    return item
  }

  /** @param {string} text */
  addNotice(text) {
    this.#append(create('li', 'notice', text))
  }

  /**
   * Says who came or went; what happens in a row is one notice.
   *
   * @param {'joined' | 'left'} kind
   * @param {string} name
   */
  addPresence(kind, name) {
    const { item } = this.#lastPresence
    if (item && this.#lastPresence.kind === kind && this.#list.lastElementChild === item) {
      this.#lastPresence.names.push(name)
      item.textContent = presenceText(kind, this.#lastPresence.names)
      return
    }
    const newItem = create('li', 'notice', presenceText(kind, [name]))
    this.#append(newItem)
    this.#lastPresence = { kind, names: [name], item: newItem }
  }

  /** @param {HTMLElement} item */
  markWaiting(item) {
    this.#setStatus(item, 'waiting', 'Waiting for the connection')
  }

  /** @param {HTMLElement} item @param {number} time when the server took it */
  markSent(item, time) {
    this.#setStatus(item, 'sent', '')
    item.querySelector('time')?.replaceWith(createTime(time))
  }

  /** @param {HTMLElement} item @param {string} reason */
  markFailed(item, reason) {
    this.#setStatus(item, 'failed', `Not sent: ${reason}`)
  }

  clear() {
    this.#list.replaceChildren()
    this.#lastDay = ''
    this.#lastMessage = undefined
    this.scrollToEnd()
  }

  scrollToEnd() {
    this.#isAtEnd = true
    this.#onUnseen(false)
    if (this.#isScrollPlanned) return
    // Once for all messages of a frame: each scroll makes the browser lay out the whole list.
    this.#isScrollPlanned = true
    requestAnimationFrame(() => {
      this.#isScrollPlanned = false
      this.#scroller.scrollTop = this.#scroller.scrollHeight
    })
  }

  /** @param {HTMLElement} item @param {'waiting' | 'sent' | 'failed'} status @param {string} text */
  #setStatus(item, status, text) {
    item.dataset.status = status
    item.querySelector('.status')?.remove()
    if (text) item.append(create('div', 'status', text))
    if (this.#isAtEnd) this.scrollToEnd()
  }

  #onScroll() {
    if (this.#isScrollPlanned) return
    const below = this.#scroller.scrollHeight - this.#scroller.scrollTop - this.#scroller.clientHeight
    const isAtEnd = below < 40
    if (isAtEnd && !this.#isAtEnd) this.#onUnseen(false)
    this.#isAtEnd = isAtEnd
  }

  /** @param {HTMLElement} item @param {boolean} [isOwn] our own message is always shown to us */
  #append(item, isOwn = false) {
    this.#lastMessage = undefined
    this.#list.append(item)
    while (this.#list.childElementCount > longestList) this.#list.firstElementChild?.remove()
    if (this.#isAtEnd || isOwn) this.scrollToEnd()
    else this.#onUnseen(true)
  }

  /** @param {number} time */
  #addDay(time) {
    const day = dayFormat.format(time)
    if (day === this.#lastDay) return
    this.#lastDay = day
    this.#append(create('li', 'day', day))
  }

  /** @param {Message} message */
  #continues(message) {
    const last = this.#lastMessage
    return (
      last !== undefined &&
      last.author === message.author &&
      last.privately === message.privately &&
      message.time - last.time < sameBreathMs
    )
  }
}

/** @param {number} time */
function createTime(time) {
  const element = create('time', '', timeFormat.format(time))
  element.dir = 'ltr'
  element.dateTime = new Date(time).toISOString()
  element.title = new Date(time).toLocaleString()
  return element
}

/** @param {'joined' | 'left'} kind @param {string[]} names */
function presenceText(kind, names) {
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} others`] : names
  return `${new Intl.ListFormat('en').format(shown)} ${kind}`
}

/** The text's parts, web addresses as links. @param {string} text */
function linked(text) {
  /** @type {(string | HTMLAnchorElement)[]} */
  const parts = []
  let end = 0
  for (const match of text.matchAll(linkPattern)) {
    const link = create('a', '', match[0])
    link.href = match[0]
    link.rel = 'noopener noreferrer'
    link.target = '_blank'
    parts.push(text.slice(end, match.index), link)
    end = match.index + match[0].length
  }
  parts.push(text.slice(end))
  return parts
}
