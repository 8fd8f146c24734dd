import { getEventListeners } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { linkSignals, onAbort } from "../../shared/contract/abort.ts";
import { ROOT } from "../support/root.ts";

describe("a linked signal", () => {
  it("A linked signal aborts with the first of its sources and its reason", () => {
    const [a, b] = [new AbortController(), new AbortController()];
    const { signal } = linkSignals(a.signal, b.signal);
    b.abort("because of b");
    a.abort("because of a");
    expect(signal.reason).toBe("because of b");
  });

  it("A linked signal of a source that has aborted has aborted", () => {
    const { signal } = linkSignals(AbortSignal.abort("before"), new AbortController().signal);
    expect(signal.reason).toBe("before");
  });

  it("A linked signal leaves no listener at its sources when it is unlinked", () => {
    const source = new AbortController();
    const linked = linkSignals(source.signal);
    expect(getEventListeners(source.signal, "abort")).toHaveLength(1);
    linked.unlink();
    expect(getEventListeners(source.signal, "abort")).toEqual([]);
    source.abort();
    expect(linked.signal.aborted).toBe(false);
  });
});

it("A listener of a signal that has aborted is called at once", () => {
  let calls = 0;
  onAbort(AbortSignal.abort(), () => calls++);
  expect(calls).toBe(1);
});

it("Only one file listens to signals, so that each listener is removed when its wait is over", () => {
  const folders = ["shared", "local", "functions", "cli", "infra"];
  const files = folders.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT }));
  const listening = files.filter((file) =>
    /AbortSignal\.any\(|addEventListener\(\s*"abort"|\.onabort\b/.test(
      readFileSync(join(ROOT, file), "utf8"),
    ),
  );
  expect(listening).toEqual(["shared/contract/abort.ts"]);
});
