/** What the hub keeps of a client, and where the client finds itself. */
export interface HubMember {
  readonly connectionId: number
  groups: Set<string> | undefined
  uid: string | undefined
}

/** Hears which uids have members; what it hears is so already. */
export interface UidListener {
  /** A uid has its first member. */
  onUid(uid: string): void
  /** A uid has lost its last member. */
  onUidGone(): void
}

const MAX_CONNECTION_ID = 0xffffffff
const NOBODY: ReadonlySet<never> = new Set<never>()

/**
 * The index of a gateway's clients by connection id, uid and group.
 *
 * Invariants: every look-up is O(1); a member stands under its uid and its groups exactly as its own fields say; no empty entry is
 * left behind; iteration is in the order in which members came, as PHP's arrays are.
 */
export class Hub<Member extends HubMember> {
  readonly #groups = new Map<string, Set<Member>>()
  readonly #members = new Map<number, Member>()
  readonly #uids = new Map<string, Set<Member>>()
  readonly #uidListener: UidListener | undefined
  #lastConnectionId: number

  /** Connection ids begin at random, so that a restarted gateway does not hand out those of a moment ago. */
  constructor(firstConnectionId = Math.floor(Math.random() * MAX_CONNECTION_ID) + 1, uidListener?: UidListener) {
    this.#lastConnectionId = firstConnectionId - 1
    this.#uidListener = uidListener
  }

  get size(): number {
    return this.#members.size
  }

  /** A connection id that is not in use: 1 … 2^32-1, then from 1 again. */
  takeConnectionId(): number {
    do {
      this.#lastConnectionId = this.#lastConnectionId >= MAX_CONNECTION_ID ? 1 : this.#lastConnectionId + 1
    } while (this.#members.has(this.#lastConnectionId))
    return this.#lastConnectionId
  }

  add(member: Member): void {
    this.#members.set(member.connectionId, member)
  }

  /** Takes the member out of everything; false if it was out already. */
  remove(member: Member): boolean {
    if (!this.#members.delete(member.connectionId)) return false
    this.unbind(member)
    for (const group of member.groups ?? []) removeFrom(this.#groups, group, member)
    member.groups = undefined
    return true
  }

  get(connectionId: number): Member | undefined {
    return this.#members.get(connectionId)
  }

  members(): Iterable<Member> {
    return this.#members.values()
  }

  /** Gives the member this uid and no other. */
  bind(member: Member, uid: string): void {
    if (member.uid === uid) return
    this.unbind(member)
    member.uid = uid
    if (addTo(this.#uids, uid, member)) this.#uidListener?.onUid(uid)
  }

  unbind(member: Member): void {
    if (member.uid === undefined) return
    const isGone = removeFrom(this.#uids, member.uid, member)
    member.uid = undefined
    if (isGone) this.#uidListener?.onUidGone()
  }

  /** The uids that have members. */
  uids(): Iterable<string> {
    return this.#uids.keys()
  }

  get uidCount(): number {
    return this.#uids.size
  }

  membersOfUid(uid: string): ReadonlySet<Member> {
    return this.#uids.get(uid) ?? NOBODY
  }

  join(member: Member, group: string): void {
    member.groups ??= new Set()
    member.groups.add(group)
    addTo(this.#groups, group, member)
  }

  leave(member: Member, group: string): void {
    if (!member.groups?.delete(group)) return
    if (member.groups.size === 0) member.groups = undefined
    removeFrom(this.#groups, group, member)
  }

  /** Everybody leaves the group. */
  ungroup(group: string): void {
    for (const member of this.membersOfGroup(group)) this.leave(member, group)
  }

  membersOfGroup(group: string): ReadonlySet<Member> {
    return this.#groups.get(group) ?? NOBODY
  }

  groups(): Iterable<string> {
    return this.#groups.keys()
  }

  /** What is kept, for proving that nothing stays behind. */
  get entryCounts(): { groups: number; members: number; uids: number } {
    return { groups: this.#groups.size, members: this.#members.size, uids: this.#uids.size }
  }
}

/** Whether it is the first under its key. */
function addTo<Member>(index: Map<string, Set<Member>>, key: string, member: Member): boolean {
  const members = index.get(key)
  members?.add(member)
  if (members === undefined) index.set(key, new Set([member]))
  return members === undefined
}

/** Whether it was the last under its key. */
function removeFrom<Member>(index: Map<string, Set<Member>>, key: string, member: Member): boolean {
  const members = index.get(key)
  return members?.delete(member) === true && members.size === 0 && index.delete(key)
}
