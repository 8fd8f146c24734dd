import { expect, it } from "vitest";
import { Project } from "./project.ts";

const EVENTS = `
import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Events } from "millrace/connectors/events";
export default pipeline("orders").readStream.format(Events)
  .options({ start: "2026-02-10T00:00:00Z", until: "2026-02-12T00:00:00Z", eventsPerSecond: 0.01 })
  .writeStream.format(ArrowTable);
`;

it("A backfill reads its range once into the table of the pipeline, and is refused a second time", async () => {
  const project = new Project();
  project.write("pipeline.ts", EVENTS);
  const live = await project.run();
  expect(live.code, live.stderr).toBe(0);
  const command = ["backfill", "pipeline.ts", "--from", "2026-01-01", "--to", "2026-02-10"];
  const first = await project.millrace(command);
  expect(first.code, first.stderr).toBe(0);
  expect(await ids(project)).toEqual(expectedIds("2026-01-01", "2026-02-12"));

  const second = await project.millrace(command);
  expect(second.code).toBe(2);
  expect(second.stderr).toContain("orders@2026-01-01_2026-02-10");
});

async function ids(project: Project): Promise<number[]> {
  const { code, stdout, stderr } = await project.millrace(["cat", "orders", "--json"]);
  expect(code, stderr).toBe(0);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => Number((JSON.parse(line) as { id: string }).id)).sort((a, b) => a - b);
}

/** One event each 100 seconds. */
function expectedIds(from: string, to: string): number[] {
  const [first, end] = [Date.parse(from) / 100_000, Date.parse(to) / 100_000];
  return Array.from({ length: end - first }, (_, i) => first + i);
}
