import { existsSync, readFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FailureHooks } from "../../cli/failure-hooks.ts";
import { Home } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { serve } from "../support/api-server.ts";
import { temporaryFolder } from "../support/folder.ts";
import { Project } from "./project.ts";

const SECRET = "s3cret-of-the-api";

/** A project whose source throws as a client of HTTP does: the reason is in the error's cause. */
async function failing(...args: string[]) {
  const project = new Project({ API_TOKEN: SECRET });
  const thrown = `throw new TypeError("fetch failed", {
    cause: Object.assign(new Error("the row of Ann, asked with " + process.env.API_TOKEN), { code: "ECONNREFUSED" }),
  });`;
  const source = project.read("pipeline.ts");
  project.write("pipeline.ts", source.replace('throw new Error("a row that cannot be read");', thrown));
  project.write("poison", "1");
  project.write("count", "4");
  const ended = await project.run("--max-attempts", "2", "--max-concurrency", "1", ...args);
  expect(ended.code).toBe(1);
  return { project, ended };
}

describe("what a person on call reads", () => {
  it("The command batch N says where an error of the user's code was, with its code, its frames and its message", async () => {
    const { project } = await failing();
    const { stdout } = await project.millrace(["batch", "0"]);
    expect(stdout).toMatch(/^ {2}error +SOURCE_FAILED: read\(\) failed: TypeError$/m);
    expect(stdout).toMatch(/^ {2}where +partition 0, batch attempt 1, task attempt 1$/m);
    expect(stdout).toMatch(/^ {2}cause +Error, ECONNREFUSED$/m);
    expect(stdout).toMatch(/^ {2}message +Error: the row of Ann, asked with \{env:API_TOKEN\}$/m);
    expect(stdout).toMatch(/^ {2}at +Reader\.read \(file:.*pipeline\.ts:\d+:\d+\)$/m);
    const { error, log } = await project.json("batch", "0");
    expect(error).toMatchObject({ origin: { name: "Error", code: "ECONNREFUSED" } });
    expect(log).toMatchObject({ cause: expect.stringContaining("the row of Ann") as string });
  });

  it("The words of a user's error are in the log only, which is its owner's, and never its secrets", async () => {
    const { project } = await failing();
    const log = project.path(".millrace/logs/recover.log");
    expect(statSync(log).mode & 0o777).toBe(0o600);
    expect(readFileSync(log, "utf8")).toContain("the row of Ann");
    expect(readFileSync(log, "utf8")).not.toContain(SECRET);
    expect(JSON.stringify(project.sql("SELECT * FROM batches"))).not.toContain("Ann");
  });

  it("A run with --no-log keeps no log, and batch N says what the ledger knows", async () => {
    const { project } = await failing("--no-log");
    expect(existsSync(project.path(".millrace/logs"))).toBe(false);
    const { stdout } = await project.millrace(["batch", "0"]);
    expect(stdout).toContain("ECONNREFUSED");
    expect(stdout).not.toContain("Ann");
  });

  it("A failing run says its reason at most twice", async () => {
    const { ended } = await failing("--max-attempts", "3");
    expect(ended.stderr.match(/the row of Ann/g)).toHaveLength(2);
    expect(ended.stderr).toMatch(/retry in .*: partition 0: as before/);
  });

  it("The answer of an API that refuses is on the terminal and in the log, but not in the ledger", async () => {
    const said = "the key of tenant Ann has expired";
    const api = await serve(() => ({ status: 401, json: { error: said } }));
    const project = new Project();
    project.write(
      "rest.ts",
      `import { pipeline } from "millrace";
       import { ArrowTable } from "millrace/connectors/arrow-table";
       import { RestApi } from "millrace/connectors/rest-api";
       export default pipeline("rest").readStream.format(RestApi)
         .options({ url: ${JSON.stringify(api.url)}, schema: "id bigint",
           timeRange: { startParam: "since", endParam: "until", start: "2026-01-01T00:00:00Z" } })
         .writeStream.format(ArrowTable).trigger({ once: true });`,
    );
    const { code, stderr } = await project.millrace(["run", "rest.ts"]);
    expect(code).toBe(1);
    expect(stderr).toContain(said);
    const { stdout } = await project.millrace(["batch", "0", "rest"]);
    expect(stdout).toMatch(/^ {2}where .*URL http:.*status 401$/m);
    expect(stdout).toContain(said);
    expect(JSON.stringify(project.sql("SELECT * FROM batches"))).not.toContain("Ann");
  });
});

describe("--on-failure", () => {
  it("A command gets an aborted batch once, as JSON without words of users, and the run fails as ever", async () => {
    const { project } = await failing("--on-failure", "cat >> told.json");
    const [line, ...more] = project.read("told.json").trimEnd().split("\n");
    expect(more).toEqual([]);
    expect(JSON.parse(line ?? "")).toMatchObject({
      type: "failure",
      pipeline: "recover",
      text: "millrace: recover: batch 0, attempt 1 failed: SOURCE_FAILED: read() failed: TypeError",
      batch: { batchId: 0, attempt: 1, state: "aborted" },
      error: { code: "SOURCE_FAILED", origin: { code: "ECONNREFUSED" } },
    });
    expect(line).not.toContain("Ann");
  });

  it("A webhook gets the same JSON, also of a run that failed before it had a batch", async () => {
    const hook = await serve(() => ({}));
    const project = new Project({ MILLRACE_ON_FAILURE_URL: hook.url });
    expect((await project.millrace(["run", "missing.ts"])).code).toBe(2);
    expect(hook.asked.map(({ method, headers }) => [method, headers["content-type"]])).toEqual([
      ["POST", "application/json"],
    ]);
    expect(JSON.parse(hook.asked[0]?.body ?? "")).toMatchObject({
      pipeline: null,
      batch: null,
      error: { code: "PIPELINE_FILE_NOT_FOUND" },
    });
  });

  it("A hook that fails is a warning, without the path of the webhook, and changes no exit code", async () => {
    const hook = await serve(() => ({ status: 500 }));
    const { ended } = await failing("--on-failure", "exit 7", "--on-failure-url", `${hook.url}/T0KEN`);
    expect(ended.stderr).toMatch(/warning HOOK_FAILED: --on-failure: the command ended with exit code 7/);
    expect(ended.stderr).toMatch(/warning HOOK_FAILED: --on-failure-url: 127\.0\.0\.1:\d+ answered 500/);
    expect(ended.stderr).not.toContain("T0KEN");
  });

  it("A command that does not end is killed with its children, and is a warning", async () => {
    const warnings: MillraceError[] = [];
    const hooks = new FailureHooks({
      home: new Home(temporaryFolder()),
      command: "sleep 1000 & wait",
      commandMilliseconds: 100,
      onWarning: (warning) => warnings.push(warning),
    });
    await hooks.failed(new MillraceError("SINK_FAILED", "no"));
    expect(warnings.map(({ message }) => message)).toEqual([
      "--on-failure: the command did not end within 0.1 s, and was killed",
    ]);
  });

  it("Another run that has the pipeline is no failure", async () => {
    const hook = await serve(() => ({}));
    const hooks = new FailureHooks({
      home: new Home(temporaryFolder()),
      url: hook.url,
      onWarning: () => undefined,
    });
    await hooks.failed(new MillraceError("LEASE_HELD", "another run"));
    expect(hook.asked).toEqual([]);
  });
});
