import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type * as Environment from "../../functions/environment.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-environment-"));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** The module as the construct bundles it, and as Lambda loads it. */
async function bundled(env: Readonly<Record<string, string>>): Promise<typeof Environment> {
  const outfile = join(folder, "index.mjs");
  await build({
    entryPoints: ["functions/environment.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    alias: { "millrace:pipeline": `${process.cwd()}/examples/earthquakes/pipeline.ts` },
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  const settings = {
    AWS_REGION: "eu-central-1",
    MILLRACE_PIPELINE: "earthquakes",
    MILLRACE_TABLE: "table",
    MILLRACE_BUCKET: "bucket",
    MILLRACE_PREFIX: "earthquakes",
    MILLRACE_LEASE_SECONDS: "60",
    MILLRACE_EXECUTION_SECONDS: "60",
    MILLRACE_DISTRIBUTE_ABOVE: "200",
    MILLRACE_MAX_ATTEMPTS: "3",
    EARTHQUAKES_URL: "http://127.0.0.1:8000/query",
  };
  for (const [name, value] of Object.entries({ ...settings, ...env })) vi.stubEnv(name, value);
  return (await import(/* @vite-ignore */ outfile)) as typeof Environment;
}

it("writes metrics into the namespace that the construct's alarms look into", async () => {
  const { metrics } = await bundled({ POWERTOOLS_METRICS_NAMESPACE: "Shop" });
  metrics.addMetric("Rows", "Count", 1);
  const { _aws, service } = metrics.serializeMetrics() as unknown as {
    readonly _aws: { readonly CloudWatchMetrics: readonly { readonly Namespace: string }[] };
    readonly service: string;
  };
  expect(_aws.CloudWatchMetrics[0]?.Namespace).toBe("Shop");
  expect(service).toBe("earthquakes");
});
