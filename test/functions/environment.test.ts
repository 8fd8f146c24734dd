import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type * as Environment from "../../functions/environment.ts";
import { METRIC } from "../../shared/aws/names.ts";
import { PACKAGE } from "../support/package.ts";
import { variablesOf } from "../support/settings.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-environment-"));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Bundles the module as the construct does, and loads the bundle as Lambda does. */
async function bundled(env: Readonly<Record<string, string>>): Promise<typeof Environment> {
  const outfile = join(folder, "index.mjs");
  await build({
    entryPoints: ["functions/environment.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    alias: { "millrace:pipeline": `${PACKAGE}/examples/earthquakes/pipeline.ts` },
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  const settings = {
    AWS_REGION: "eu-central-1",
    ...variablesOf("earthquakes"),
    EARTHQUAKES_URL: "http://127.0.0.1:8000/query",
  };
  for (const [name, value] of Object.entries({ ...settings, ...env })) vi.stubEnv(name, value);
  return (await import(/* @vite-ignore */ outfile)) as typeof Environment;
}

it("The functions write metrics into the namespace that the construct's alarms read", async () => {
  const { metrics } = await bundled({ POWERTOOLS_METRICS_NAMESPACE: "Shop" });
  metrics.addMetric(METRIC.rows, "Count", 1);
  const { _aws, service } = metrics.serializeMetrics() as unknown as {
    readonly _aws: { readonly CloudWatchMetrics: readonly { readonly Namespace: string }[] };
    readonly service: string;
  };
  expect(_aws.CloudWatchMetrics[0]?.Namespace).toBe("Shop");
  expect(service).toBe("earthquakes");
});
