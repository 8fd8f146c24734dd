import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { type Ended, killTree, millrace, type Running, startMillrace } from "../support/process.ts";

const PLAIN = join(PACKAGE, "test/e2e/pipelines/plain-errors.ts");

/** How an API can fail while its process is alive. */
type Garbage = "503" | "no JSON" | "other JSON" | "cut off" | "bad row";

/** An API with a growing list of rows, which can be down, and can answer garbage. */
class Api {
  rows = 0;
  garbage: Garbage | undefined;
  #server: Server | undefined;
  #port = 0;

  async start(): Promise<void> {
    const server = createServer(({ url = "/" }, response) =>
      this.#answer(new URL(url, "http://api"), response),
    );
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Connections are refused from now on. */
  async stop(): Promise<void> {
    const server = this.#server;
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  #answer({ pathname, searchParams }: URL, response: ServerResponse): void {
    const [from, to] = ["from", "to"].map((name) => Number(searchParams.get(name)));
    const ids = Array.from({ length: this.rows }, (_, id) => ({ id })).slice(from, to);
    const body = JSON.stringify(pathname === "/count" ? { count: this.rows } : ids);
    switch (this.garbage) {
      case undefined:
        response.end(body);
        break;
      case "503":
        response.writeHead(503).end(body);
        break;
      case "no JSON":
        response.end("<html>Back soon</html>");
        break;
      case "other JSON":
        response.end(JSON.stringify({ error: "maintenance" }));
        break;
      case "bad row":
        response.end(body.replaceAll(/"id":(\d+)/g, '"id":"N/A"'));
        break;
      case "cut off":
        response.writeHead(200, { "content-length": body.length + 10 });
        response.write(body, () => response.destroy());
        break;
    }
  }
}

const FAILURES = /tries again at/g;

/** A run that is started once, and what it has printed. */
class Runner {
  readonly #running: Running;
  readonly #home = temporaryFolder();
  readonly #env: Record<string, string>;

  constructor(env: Record<string, string>) {
    this.#env = env;
    const args = ["run", PLAIN, "--home", this.#home, "--every", "100ms", "--max-attempts", "1"];
    this.#running = startMillrace(args, env);
    onTestFinished(() => killTree(this.#running.process));
  }

  get text(): string {
    return this.#running.stderr();
  }

  get isAlive(): boolean {
    return this.#running.process.exitCode === null;
  }

  async until(isSo: () => boolean): Promise<void> {
    for (let i = 0; i < 6000 && this.isAlive && !isSo(); i++) await setTimeout(20);
    expect(isSo(), this.text).toBe(true);
  }

  /** Waits until it has failed so many times more. */
  async untilFailed(times: number): Promise<void> {
    const before = this.#failures();
    await this.until(() => this.#failures() >= before + times);
  }

  #failures(): number {
    return this.text.match(FAILURES)?.length ?? 0;
  }

  /** Runs another command on the run's home. */
  async command(...args: string[]): Promise<Ended> {
    return await millrace([...args, "--home", this.#home], this.#env);
  }

  async rows(): Promise<number[]> {
    const { stdout } = await this.command("cat", "plain", "--json");
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: number }).id)
      .sort((a, b) => a - b);
  }

  async interrupt(): Promise<number | null> {
    this.#running.process.kill("SIGINT");
    return (await this.#running.ended).code;
  }
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("a run on an interval and an API with an outage", () => {
  it("A run on an interval outlives an API that is down, answers garbage, and is down for longer, and catches up", async () => {
    const api = new Api();
    await api.start();
    onTestFinished(() => api.stop());
    api.rows = 5;
    const runner = new Runner({ API: api.url });
    await runner.until(() => runner.text.includes("batch 0 committed"));

    await api.stop();
    await runner.untilFailed(2);
    await api.start();
    api.rows = 12;
    await runner.until(() => runner.text.includes("batch 1 committed"));

    for (const garbage of ["503", "no JSON", "other JSON", "cut off"] as const) {
      api.garbage = garbage;
      await runner.untilFailed(1);
    }
    api.garbage = undefined;
    api.rows = 20;
    await runner.until(() => runner.text.includes("batch 2 committed"));

    await api.stop();
    await runner.untilFailed(5);
    await api.start();
    api.rows = 30;
    await runner.until(() => runner.text.includes("batch 3 committed"));

    expect(await runner.rows()).toEqual(range(30));
    expect(runner.text).toMatch(/^\d\d:\d\d:\d\d failed SOURCE_FAILED: .*ECONNREFUSED/m);
    expect(runner.text).toMatch(/^ {2}tries again at \d\d:\d\d:\d\d \(5 failures in a row\)$/m);
    expect(await runner.interrupt()).toBe(130);
  });

  it("A run on an interval that waits after a failure leaves the pipeline to a person's commands, and ends at once if it is stopped", async () => {
    const api = new Api();
    await api.start();
    onTestFinished(() => api.stop());
    api.rows = 5;
    const runner = new Runner({ API: api.url });
    await runner.until(() => runner.text.includes("batch 0 committed"));
    api.garbage = "503";
    // The wait is now longer than the command takes.
    await runner.untilFailed(6);
    const rewind = await runner.command("rewind", "plain", "--to-start", "--yes");
    expect(rewind.code, rewind.stderr).toBe(0);
    expect(runner.isAlive).toBe(true);
    expect(await runner.interrupt()).toBe(130);
  });

  it("A batch with a bad row pauses the pipeline, and its run goes on after the fix and resume", async () => {
    const api = new Api();
    await api.start();
    onTestFinished(() => api.stop());
    api.rows = 3;
    api.garbage = "bad row";
    const runner = new Runner({ API: api.url });
    await runner.until(() => runner.text.includes("nothing is done until it is resumed"));
    expect(runner.text).toMatch(/^\d\d:\d\d:\d\d failed ROW_MISMATCH: /m);
    expect(runner.text).toMatch(
      /^paused by millrace at .*batch 0 was aborted 2 times: ROW_MISMATCH; after the fix /m,
    );
    const status = await runner.command("status", "plain", "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({
      state: "paused",
      paused: { by: "millrace", batchId: 0, code: "ROW_MISMATCH" },
    });
    const once = await runner.command("run", PLAIN, "--once");
    expect(once).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error PIPELINE_PAUSED: /m) as string,
    });

    api.garbage = undefined;
    const resumed = await runner.command("resume", "plain");
    expect(resumed.code, resumed.stderr).toBe(0);
    await runner.until(() => runner.text.includes("batch 0 committed"));
    expect(await runner.rows()).toEqual(range(3));
    expect(await runner.interrupt()).toBe(130);
  });
});
