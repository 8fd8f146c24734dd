import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";
import { variablesOf } from "../support/settings.ts";

/**
 * Runs the vacuum function once, in a process of its own, with this code in the source's
 * constructor.
 */
async function invoke(code: string) {
  const folder = temporaryFolder();
  const pipeline = join(folder, "pipeline.ts");
  writeFileSync(
    pipeline,
    `import { DataSource, pipeline } from "${ROOT}shared/index.ts";
class Source extends DataSource { constructor(...args) { super(...args); ${code} } schema() { return "n int"; } }
export default pipeline("shop").readStream.format(Source).writeStream.format(Source);`,
  );
  const outfile = join(folder, "index.mjs");
  await build({
    stdin: {
      contents: `import { handler } from "${ROOT}functions/vacuum.ts";
const lambda = { getRemainingTimeInMillis: () => 60_000 };
const ended = await handler({}, lambda).then((value) => ({ value }), ({ name, message }) => ({ name, message }));
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
  return {
    status,
    logs: stdout + stderr,
    answer: JSON.parse(answer) as { name: string; message: string } | null,
  };
}

it("A function whose pipeline calls process.exit fails with an error that names the call", async () => {
  const { status, answer } = await invoke("process.exit(0);");
  expect(status).toBe(0);
  expect(answer?.name).toBe("Millrace.Final");
  expect(answer?.message).toMatch(/^PROCESS_EXIT: .*process\.exit\(0\).*pipeline shop/);
});

it("A function whose pipeline forgets a rejected promise fails with an error that names it", async () => {
  const { status, answer, logs } = await invoke('void Promise.reject(new TypeError("secret words"));');
  expect(status).toBe(0);
  expect(answer?.name).toBe("Millrace.Retryable");
  expect(answer?.message).toMatch(/^UNCAUGHT_ERROR: .*TypeError.*pipeline shop/);
  expect(logs).toContain('"code":"UNCAUGHT_ERROR"');
  expect(logs).not.toContain("secret words");
});

it("Log lines of a function have no raw control and no mark that turns the direction", async () => {
  const { logs } = await invoke(
    'throw Object.assign(new Error("x"), { kind: "millrace.error", code: "C", where: {}, message: "a\\u001b[2Jb\\u009b31mc\\u202ed", with() { return this; }, toRecord() { return { code: "C", message: this.message, where: {} }; } });',
  );
  expect(logs).toContain("a\\u001b[2Jb\\\\u009b31mc");
  expect(logs).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
});
