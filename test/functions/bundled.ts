import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";
import { variablesOf } from "../support/settings.ts";

/** A function that has run once. */
export interface Invoked {
  readonly status: number | null;
  readonly logs: string;
  /** What the function returned, or its error. `null` if it did not end. */
  readonly answer: { readonly value?: unknown; readonly name?: string; readonly message?: string } | null;
}

/**
 * Runs a function once, bundled with the pipeline as for AWS, in a process of its own. AWS is
 * a server that answers every request with an empty object, or is not there.
 */
export async function invoke(
  name: string,
  pipelineSource: string,
  event: object,
  isAwsThere: boolean,
): Promise<Invoked> {
  const folder = temporaryFolder();
  const pipeline = join(folder, "pipeline.ts");
  writeFileSync(pipeline, `import * as millrace from "${ROOT}shared/index.ts";\n${pipelineSource}`);
  const outfile = join(folder, "index.mjs");
  await build({
    stdin: {
      contents: `import { createServer } from "node:http";
const aws = createServer((request, response) => request.resume().on("end", () => response.end("{}")));
await new Promise((listening) => aws.listen(0, "127.0.0.1", listening));
if (${isAwsThere}) process.env.AWS_ENDPOINT_URL = "http://127.0.0.1:" + aws.address().port;
const { handler } = await import("${ROOT}functions/${name}.ts");
const lambda = { getRemainingTimeInMillis: () => 60_000 };
const ended = await handler(${JSON.stringify(event)}, lambda).then(
  (value) => ({ value }),
  ({ name, message }) => ({ name, message }),
);
console.log("ENDED" + JSON.stringify(ended));
process.exit(0);`,
      resolveDir: ROOT,
    },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    alias: { "millrace:pipeline": pipeline },
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
  const { status, stdout, stderr } = spawnSync(process.execPath, [outfile], {
    encoding: "utf8",
    env: {
      ...variablesOf("shop"),
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "b",
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_MAX_ATTEMPTS: "1",
    },
  });
  const answer = /^ENDED(.*)$/m.exec(stdout)?.[1] ?? "null";
  return { status, logs: stdout + stderr, answer: JSON.parse(answer) as Invoked["answer"] };
}
