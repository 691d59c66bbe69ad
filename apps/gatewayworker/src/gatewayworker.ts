#!/usr/bin/env node
import { type ClusterDefinition, type FurtherLooks, runCli } from '@gatewayworker/supervisor'
import { defineConfigCluster } from './config-cluster.ts'
import { demoCluster } from './demo-cluster.ts'
import { furtherLooks } from './further-looks.ts'

await runCli({
  command: 'gatewayworker',
  configNames: ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs', 'json'].map((extension) => `gatewayworker.config.${extension}`),
  define: (configFile) =>
    (configFile === undefined ? demoCluster : defineConfigCluster(configFile)) as ClusterDefinition,
  describe:
    'Runs the cluster of gatewayworker.config.ts (.mts, .cts, .js, .mjs, .cjs, .json) in the working directory, or of --config FILE; without one, the demo.',
  doctor: furtherLooks as FurtherLooks,
  npmScript: 'start',
})
