import { afterAll, beforeAll, expect, test } from "vitest";
import { send } from "./kit/request.ts";
import { zip } from "./kit/zip.ts";

/**
 * Tests that the executor of Lambda functions in test/localstack/executor behaves like Lambda. They
 * cover what the pipeline's functions need.
 */

const SOURCE = `
let calls = 0;
console.log("loaded");
export const handler = async (event, context) => {
  calls++;
  console.log("asked to", event.do);
  if (event.do === "throw") throw new RangeError("too far");
  if (event.do === "hang") await new Promise((resolve) => setTimeout(resolve, 60_000));
  if (event.do === "exit") process.exit(3);
  if (event.do === "forget") { setTimeout(() => { throw new TypeError("nobody caught this"); }); await new Promise(() => {}); }
  if (event.do === "write") process.stdout.write('{"level":"INFO"}\\n');
  return { calls, left: context.getRemainingTimeInMillis(), variable: process.env.COLOUR, temporary: process.env.TMPDIR };
};`;
const COMMON = `exports.handler = async () => ({ isCommonJs: typeof require === "function" });`;

const names: string[] = [];

async function create(name: string, files: Record<string, string>): Promise<string> {
  const unique = `${name}-${Date.now()}`;
  await send("lambda", "POST", "/2015-03-31/functions", {
    FunctionName: unique,
    Runtime: "nodejs22.x",
    Role: "arn:aws:iam::000000000000:role/smoke",
    Handler: "index.handler",
    Timeout: 2,
    MemorySize: 256,
    Environment: { Variables: { COLOUR: "red" } },
    Code: { ZipFile: zip(files).toString("base64") },
  });
  names.push(unique);
  return unique;
}

async function invoke(name: string, event: unknown) {
  const path = `/2015-03-31/functions/${name}/invocations`;
  const response = await send("lambda", "POST", path, event, { "x-amz-log-type": "Tail" });
  return {
    error: response.headers.get("x-amz-function-error"),
    logs: Buffer.from(response.headers.get("x-amz-log-result") ?? "", "base64").toString(),
    body: (await response.json()) as Record<string, unknown>,
  };
}

let name: string;

beforeAll(async () => {
  name = await create("executor", { "index.mjs": SOURCE });
});

afterAll(async () => {
  for (const each of names) await send("lambda", "DELETE", `/2015-03-31/functions/${each}`);
});

test("An environment is kept warm, knows its deadline, and its logs are seen", async () => {
  const cold = await invoke(name, { do: "nothing" });
  const warm = await invoke(name, { do: "write" });
  expect(cold).toMatchObject({ error: null, body: { calls: 1, variable: "red" } });
  expect(cold.logs).toMatch(/\tINFO\tloaded\n.*\tINFO\tasked to nothing\n/);
  expect(warm).toMatchObject({ error: null, body: { calls: 2 } });
  expect(warm.logs).toContain('\n{"level":"INFO"}\n');
  expect(warm.body["left"]).toBeGreaterThan(1_000);
  expect(warm.body["left"]).toBeLessThanOrEqual(2_000);
});

test("An error of the handler does not end its execution environment", async () => {
  const failed = await invoke(name, { do: "throw" });
  expect(failed).toMatchObject({
    error: "Unhandled",
    body: { errorType: "RangeError", errorMessage: "too far" },
  });
  const next = await invoke(name, { do: "nothing" });
  expect(next.body["calls"]).toBeGreaterThan(1);
});

test.each([
  ["hang", "Sandbox.Timedout", "Task timed out after 2.00 seconds"],
  ["exit", "Runtime.ExitError", "exit status 3"],
  ["forget", "TypeError", "nobody caught this"],
])(
  "After a handler that does %s, logs are kept and the next request gets a new environment",
  async (what, errorType, message) => {
    const failed = await invoke(name, { do: what });
    expect(failed).toMatchObject({
      error: "Unhandled",
      body: { errorType, errorMessage: expect.stringContaining(message) },
    });
    expect(failed.logs).toContain(`asked to ${what}`);
    expect(await invoke(name, { do: "nothing" })).toMatchObject({ error: null, body: { calls: 1 } });
  },
);

test("Code without a module type is CommonJS, as on Lambda", async () => {
  const common = await create("common", { "index.js": COMMON });
  expect((await invoke(common, {})).body).toEqual({ isCommonJs: true });
});

test("A function that cannot be loaded says so", async () => {
  const broken = await create("broken", { "index.mjs": "throw new Error('at load');" });
  expect(await invoke(broken, {})).toMatchObject({ error: "Unhandled", body: { errorMessage: "at load" } });
});
