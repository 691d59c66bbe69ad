import { existsSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import businessworker from '@gatewayworker/app-businessworker'
import gateway from '@gatewayworker/app-gateway'
import register from '@gatewayworker/app-register'
import { afterAll, beforeAll, describe, expect, it, onTestFailed, onTestFinished } from 'vitest'
import { within } from './deadline.ts'
import { type DeployedImage, makeImage } from './deployed-image.ts'
import { type DeployedProcess, readCompose, readManifests, readPods } from './deployed-processes.ts'
import { freePort } from './free-port.ts'
import { Program } from './program.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { TestClient } from './test-client.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))

/** What runs in a container, by its name. */
const apps = { gateway, register, worker: businessworker }

const compose = readCompose({
  GW_SECRET_KEY: 'the secret of this cluster',
  LAN_IP: '127.0.0.1',
  REGISTER_HOST: '127.0.0.1',
})
const manifests = readManifests()

let image: DeployedImage
beforeAll(async () => {
  image = await makeImage()
}, 180_000)
afterAll(() => image.remove())

describe('the image', () => {
  it('has what runs, and nothing that only builds or tests', () => {
    for (const name of ['apps/gateway/dist/start-gateway.js', 'packages/protocol/dist/index.js', 'apps/chat/Events.ts'])
      expect(existsSync(`${image.folder}/${name}`), name).toBe(true)
    for (const name of ['node_modules/typescript', 'node_modules/vitest', 'apps/examples', 'apps/gateway/src', 'test'])
      expect(existsSync(`${image.folder}/${name}`), name).toBe(false)
  })
})

describe.each([
  ['compose.yaml', compose],
  ['kubernetes/', readPods(manifests)],
])('%s', (_, processes) => {
  it.each(processes)(
    'gives $name options that it has, the health check of the image, and more time to stop than it takes',
    ({ command, env, graceS, healthCheck, name }) => {
      const { options } = apps[name as keyof typeof apps]
      const flags = command.slice(2).flatMap((word) => /^--([a-z-]+)/.exec(word)?.[1] ?? [])
      const variables = Object.keys(env).map((variable) =>
        variable.replace(/^GW_/, '').replaceAll('_', '-').toLowerCase(),
      )
      for (const option of [...flags, ...variables]) expect(Object.keys(options)).toContain(option)
      const drainS = Number(command.find((word) => word.startsWith('--stop-timeout='))?.split('=')[1] ?? 0)
      expect(healthCheck).toEqual(image.healthCheck)
      expect(drainS > 0).toBe('stop-timeout' in options)
      expect(graceS).toBeGreaterThanOrEqual(drainS + 3)
    },
  )

  it('starts a cluster in which everything gets ready, a client is answered, and everything stops in time', async () => {
    const cluster = await startAll(processes)
    for (const { check } of cluster) await check()
    const client = await TestClient.open(String(cluster.find(({ name }) => name === 'gateway')!.url()))
    onTestFinished(() => client.socket.terminate())
    client.send({ type: 'ping' })
    expect(await client.nextJson()).toEqual({ type: 'pong' })
    for (const { graceS, name, program } of cluster.toReversed()) {
      expect(await within(program.stop(), `the end of ${name}`, graceS * 1000)).toEqual({ code: 0, signal: null })
    }
    expect(await client.closed).toMatchObject({ code: 1001 })
  })
})

describe('kubernetes/', () => {
  it('selects pods by labels and ports that they have', () => {
    const pods = manifests.filter(({ kind }) => kind === 'Deployment').map(({ spec }) => spec.template)
    const selectors = manifests.flatMap(({ spec }) => spec?.selector?.matchLabels ?? spec?.selector ?? [])
    expect(selectors).toHaveLength(7)
    for (const selector of selectors)
      expect(pods.map(({ metadata }) => metadata.labels)).toContainEqual(expect.objectContaining(selector))

    const services = manifests.filter(({ kind }) => kind === 'Service')
    for (const { metadata, spec } of services) {
      const pod = pods.find(({ metadata: { labels } }) =>
        expect.objectContaining(spec.selector).asymmetricMatch(labels),
      )
      expect(pod.spec.containers[0].ports.map(({ name }: { name: string }) => name)).toContain(spec.ports[0].targetPort)
      if (metadata.name !== 'gatewayworker-register') continue
      const address = `--register-address=${metadata.name}:${spec.ports[0].port}`
      expect(readPods(manifests).filter(({ command }) => command.includes(address))).toHaveLength(2)
    }
  })
})

/** Runs the commands in the image's folder, with nothing but ports and addresses changed. */
async function startAll(processes: readonly DeployedProcess[]) {
  const ports: Record<string, number> = { 1236: await freePort(), 2900: await freePort(), 7272: await freePort() }
  const onThisHost = (word: string): string =>
    word
      .replaceAll(/\b(?:0\.0\.0\.0|gatewayworker-register)\b/g, '127.0.0.1')
      .replace(/\b(?:1236|2900|7272)$/, (port) => String(ports[port]))
      .replace('=/app/', `=${image.folder}/`)
  const runFolders = temporaryFolder({})

  return processes.map(({ command, env, graceS, healthCheck, name }) => {
    const GW_RUN_DIR = runFolders.path(name)
    const run = (words: readonly string[]): Program => {
      const [script, ...args] = scriptOf(words)
      return new Program(script!, args.map(onThisHost), { ...env, GW_RUN_DIR })
    }
    const program = run(command)
    onTestFailed(() => console.log(program.output))
    onTestFinished(() => program.killAll())
    /** Asks again until it is ready, as Docker and Kubernetes do. */
    async function check(): Promise<void> {
      await program.ready()
      const healthy = (async () => {
        while ((await run(healthCheck).exited).code !== 0);
      })()
      await within(healthy, `${name} is ready`)
    }
    return { check, graceS, name, program, url: () => String(program.child().listen).replace('websocket:', 'ws:') }
  })
}

/** `node FILE …` and `gatewayworker …` as a file of the image, relative to the repository, and its arguments. */
function scriptOf([program, ...args]: readonly string[]): string[] {
  const inImage = (file: string) => relative(repository, `${image.folder}/${file}`)
  if (program === 'gatewayworker') return [inImage('apps/gatewayworker/dist/gatewayworker.js'), ...args]
  expect(program).toBe('node')
  return [inImage(args[0]!), ...args.slice(1)]
}
