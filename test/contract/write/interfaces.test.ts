import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Memory, MemoryStream } from "../../../shared/connectors/memory/index.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { EqualTo } from "../../../shared/contract/filters.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { CustomAvgMetric, DataWriter, Write } from "../../../shared/contract/write/index.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { recordingTable } from "../../support/recording-table.ts";
import { ROOT } from "../../support/root.ts";

const page = readFileSync(join(ROOT, "docs/write-interfaces.md"), "utf8");

/** The rows of a section of docs/write-interfaces.md, by the member. */
function listed(section: string): ReadonlyMap<string, string> {
  const text = page.split(/^## /m).find((part) => part.startsWith(`\`${section}\`\n`)) ?? "";
  return new Map(
    [...text.matchAll(/^\| `([\w.]+)` \| (.*) \| .* \|$/gm)].map(([, name = "", test = ""]) => [name, test]),
  );
}

/** The members of an API report: each method of a class or interface, and each other export. */
function exported(report: string): string[] {
  const text = readFileSync(join(ROOT, "docs/api", report), "utf8");
  return [
    ...text.matchAll(
      /^export (?:abstract class|class|interface|function|type|const|abstract) (\w+)([\s\S]*?)(?=^\/\/ |^export |^```)/gm,
    ),
  ].flatMap(([declaration, name = "", body = ""]) => {
    if (!/^export (?:abstract class|class|interface)/.test(declaration)) return [name];
    const methods = [...body.matchAll(/^ {4}(?:abstract |protected )?(?:get )?(\w+)\??(?:<[^(]*>)?\(/gm)].map(
      ([, method = ""]) => method,
    );
    const own = methods.filter((method) => method !== "constructor");
    return own.length === 0 ? [name] : own.map((method) => `${name}.${method}`);
  });
}

describe("docs/write-interfaces.md", () => {
  it.each([
    ["millrace/write", "write.api.md", 125],
    ["millrace/write/spark-2.3", "write-spark-2.3.api.md", 12],
  ])("The page of interfaces lists each member of %s", (section, report, atLeast) => {
    const members = exported(report);
    expect(members.length).toBeGreaterThan(atLeast);
    const rows = listed(section);
    expect(members.filter((member) => !rows.has(member))).toEqual([]);
    expect([...rows.keys()].filter((member) => !members.includes(member))).toEqual([]);
  });

  it("The page of interfaces names a test that exists for each member", () => {
    const rows = [...listed("millrace/write"), ...listed("millrace/write/spark-2.3")];
    const without: string[] = [];
    const missing: string[] = [];
    for (const [member, test] of rows) {
      const [, file = "", name = ""] = /\]\(\.\.\/([\w./-]+)\): (.*)$/.exec(test) ?? [];
      if (file === "") without.push(member);
      else if (!readFileSync(join(ROOT, file), "utf8").includes(`"${name}"`))
        missing.push(`${member}: ${name}`);
    }
    expect(missing).toEqual([]);
    expect(without).toEqual([]);
  });
});

describe("the interfaces of connector.write", () => {
  it.each(["predicates", "filters"])(
    "A builder that answers no to canOverwrite is not told to overwrite, and nothing is built (%s)",
    async (filterForm) => {
      const calls: string[] = [];
      const note = <T>(call: string, value: T): T => {
        calls.push(call);
        return value;
      };
      class Refusing extends DataSource<object> {
        override table() {
          const builder = {
            filterForm,
            canOverwrite: (given: readonly { kind: string }[]) =>
              note(`canOverwrite ${given[0]?.kind}`, false),
            overwrite: () => note("overwrite", builder),
            build: () => note("build", new (class extends Write {})()),
          };
          return {
            name: "refusing",
            capabilities: new Set(["BATCH_WRITE", "OVERWRITE_BY_FILTER"] as const),
            newWriteBuilder: () => note("newWriteBuilder", builder as never),
          };
        }
      }
      new MemoryStream("refused", "id int").addData([{ id: 1 }]);
      const source = pipeline("refused").read.format(Memory).options({ stream: "refused" });
      await expect(
        runPipeline(source.write.format(Refusing).overwrite(new EqualTo("id", 1))),
      ).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED", message: expect.stringContaining("id = 1") });
      const asked = filterForm === "filters" ? "canOverwrite EqualTo" : "canOverwrite predicate";
      expect(calls).toEqual(["newWriteBuilder", asked]);
    },
  );

  it("An epoch of which a task fails is aborted under its id, with null in the place of that task", async () => {
    const { recording, dataSource } = recordingTable({
      fault: (call) => {
        if (call === "write") throw new Error("no");
      },
    });
    new MemoryStream("failing", "id int").addData([{ id: 1 }]);
    const source = pipeline("failing").readStream.format(Memory).options({ stream: "failing" });
    await expect(runPipeline(source.writeStream.format(dataSource))).rejects.toMatchObject({
      code: "SINK_FAILED",
    });
    expect(recording.calls.at(-1)).toBe("abort [0,[null]]");
  });

  it("writeAll calls write for each record in order, and waits if write returns a promise", async () => {
    const written: string[] = [];
    class Slow extends DataWriter<number, null> {
      override async write(record: number) {
        written.push(`begin ${record}`);
        await Promise.resolve();
        written.push(`end ${record}`);
      }
      override commit = () => null;
      override abort = () => undefined;
    }
    async function* records() {
      yield* [1, 2];
    }
    await new Slow().writeAll(records());
    expect(written).toEqual(["begin 1", "end 1", "begin 2", "end 2"]);
  });

  it("The description of a write is the name of its class", () => {
    class Nothing extends Write {}
    expect(new Nothing().description).toBe("Nothing");
    for (const method of ["toBatch", "toStreaming"] as const)
      expect(() => new Nothing()[method]()).toThrow(
        expect.objectContaining({ code: "NOT_SUPPORTED", message: `Nothing has no ${method}()` }),
      );
  });

  it("An average has at most three decimals, and is 0 without values", () => {
    class Average extends CustomAvgMetric {
      override readonly name = "average";
      override readonly description = "the average";
    }
    const average = new Average();
    expect([[], [1, 2], [1, 1, 2], [4]].map((values) => average.aggregateTaskMetrics(values))).toEqual([
      ...["0", "1.5", "1.333", "4"],
    ]);
  });
});
