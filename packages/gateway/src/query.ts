/** The value of a variable in a query: text, or what brackets in names make of several, as in PHP: `a[]=1&a[]=2`, `a[b]=3`. */
export type QueryValue = string | QueryValue[] | { [name: string]: QueryValue }

/** How many variables, and brackets in a name, are taken, as in PHP (max_input_vars, max_input_nesting_level). */
const MAX_VARIABLES = 1000
const MAX_BRACKETS = 64

type Branch = Map<string, string | Branch>

/** The variables of a query; of those with the same name the last one. What is no UTF-8 in them is replaced, as in a URLSearchParams. */
export function parseQuery(query: string): Record<string, QueryValue> {
  const root: Branch = new Map()
  let count = 0
  for (const [name, value] of new URLSearchParams(query)) {
    count += 1
    if (count > MAX_VARIABLES) break
    const [, head = name, brackets = ''] = /^([^[]+)((?:\[[^\]]*\])+)$/.exec(name) ?? []
    const keys = brackets === '' ? [] : brackets.slice(1, -1).split('][')
    if (keys.length <= MAX_BRACKETS) put(root, [head, ...keys], value)
  }
  return toObject(root)
}

function put(root: Branch, path: readonly string[], value: string): void {
  let branch = root
  path.forEach((key, at) => {
    const name = key === '' && at > 0 ? nextIndex(branch) : key
    if (at === path.length - 1) {
      branch.set(name, value)
      return
    }
    const there = branch.get(name)
    const next: Branch = there instanceof Map ? there : new Map()
    branch.set(name, next)
    branch = next
  })
}

function nextIndex(branch: Branch): string {
  let next = branch.size
  while (branch.has(String(next))) next += 1
  return String(next)
}

function toValue(value: string | Branch): QueryValue {
  if (typeof value === 'string') return value
  const isList = [...value.keys()].every((key, at) => key === String(at))
  return isList ? [...value.values()].map(toValue) : toObject(value)
}

/** Each name is a property of its own, `__proto__` too. */
function toObject(branch: Branch): Record<string, QueryValue> {
  return Object.fromEntries([...branch].map(([name, value]) => [name, toValue(value)]))
}
