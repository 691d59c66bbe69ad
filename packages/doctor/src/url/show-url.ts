/** An address as messages may have it: what stands behind `?` or before `@` may be a token or password. */
export function showUrl({ host, pathname, protocol }: URL): string {
  return `${protocol}//${host}${pathname}`
}
