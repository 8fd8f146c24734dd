import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { Memory, memoryTable } from "../../shared/connectors/memory/index.ts";
import type { DataSourceClass } from "../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { EngineWorld } from "../support/engine.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

/** Returns the files that a page shows, by name. */
function examples(page: string): ReadonlyMap<string, string> {
  const blocks = readFileSync(join(ROOT, "docs", page), "utf8").matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g);
  return new Map([...blocks].map(([, name = "", code = ""]) => [name, code]));
}

/**
 * Loads a class from an example on a page. The example imports the sources in place of the package.
 */
async function exampleClass(
  page: string,
  file: string,
  name: string,
): Promise<DataSourceClass<{ url: string }>> {
  const path = join(temporaryFolder(), file);
  const sources = pathToFileURL(join(ROOT, "shared/index.ts")).href;
  writeFileSync(path, (examples(page).get(file) ?? "").replace('"millrace"', `"${sources}"`));
  return ((await import(path)) as Record<string, DataSourceClass<{ url: string }>>)[name] as never;
}

/** Starts a local server that answers each query with JSON. */
async function serve(answer: (query: URLSearchParams) => unknown): Promise<string> {
  const server = createServer((request, response) => {
    response.end(JSON.stringify(answer(new URL(request.url ?? "/", "http://localhost").searchParams)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/**
 * Runs batches at the given time until there is no new data. Returns the number of rows of each
 * batch.
 */
async function drain(
  source: DataSourceClass<{ url: string }>,
  url: string,
  { now, table }: { now: number; table: string },
): Promise<number[]> {
  const definition = pipeline("example")
    .readStream.format(source)
    .options({ url })
    .writeStream.format(Memory)
    .options({ table }) as unknown as Pipeline;
  const world = new EngineWorld();
  world.now = now;
  const run = await world.run(definition, "a");
  while ((await run.batch()) !== undefined);
  return memoryTable(table)
    .batches()
    .map(({ rows }) => rows.length);
}

describe("the pages on helpers and example sources", () => {
  it("The source by time ranges in the docs reads each row once from an API with inclusive ends", async () => {
    const [start, now] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2, 12)];
    // Each half hour has two rows. Every second pair lies on the border of two partitions.
    const times = Array.from({ length: 144 }, (_, i) =>
      new Date(start + Math.floor(i / 2) * 1_800_000).toISOString(),
    );
    const url = await serve((query) => {
      const [from, to] = [query.get("from") ?? "", query.get("to") ?? ""];
      return times
        .filter((time) => time >= from && time <= to)
        .map((time, i) => ({ sensor: `s${i}`, time, celsius: 20.5 }));
    });
    const Readings = await exampleClass("source-helpers.md", "readings.ts", "Readings");
    expect(await drain(Readings, url, { now, table: "readings" })).toEqual([96, 48]);
    expect(
      memoryTable("readings")
        .rows()
        .map(({ time }) => time),
    ).toEqual(times);
  });

  it("The source by time and id in the docs reads each row once though pages end between equal times", async () => {
    const now = Date.UTC(2026, 10, 21);
    const payments = Array.from({ length: 2600 }, (_, i) => ({
      id: i + 1,
      created_at: new Date(now - 31_000 - 1000 * Math.floor((2599 - i) / 700)).toISOString(),
      amount: "1.00",
    }));
    payments.push({ id: 2601, created_at: new Date(now - 29_000).toISOString(), amount: "1.00" });
    const url = await serve((query) => {
      const [time, before] = [query.get("created_at") ?? "", query.get("before") ?? "9999"];
      const isAfter = (payment: { id: number; created_at: string }): boolean =>
        payment.created_at > time || (payment.created_at === time && payment.id > Number(query.get("id")));
      return payments
        .filter((payment) => isAfter(payment) && payment.created_at < before)
        .slice(0, Number(query.get("limit")));
    });
    const Payments = await exampleClass("source-helpers.md", "payments.ts", "Payments");
    const sizes = await drain(Payments, url, { now, table: "payments" });
    expect(sizes).toEqual([1000, 1000, 600]);
    expect(
      memoryTable("payments")
        .rows()
        .map(({ id }) => id),
    ).toEqual(payments.slice(0, 2600).map(({ id }) => id));
  });
});
