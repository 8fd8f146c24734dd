import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { overlapping } from "../../../shared/engine/backfill/live-range.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk, valuesOf } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { deskOf } from "./sequence-table.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const TYPES: readonly [type: string, from: string, to: string][] = [
  ["timestamptz", "2026-01-02T00:00:00.000Z", "2026-01-04T00:00:00.000Z"],
  ["timestamp", "2026-01-02T00:00:00.000Z", "2026-01-04T00:00:00.000Z"],
  ["date", "2026-01-02T00:00:00.000Z", "2026-01-04T00:00:00.000Z"],
];

/** Rows at midnight UTC of the days 1 to 5, two for each day. */
async function days(type: string): Promise<Desk> {
  const desk = await Desk.open(server);
  await desk.db.query(`CREATE TABLE t (at ${type} NOT NULL, id int NOT NULL, PRIMARY KEY (at, id));
    INSERT INTO t SELECT ('2026-01-0' || day || ' 00:00:00')::timestamp, 10 * day + n
      FROM generate_series(1, 5) AS day, generate_series(1, 2) AS n`);
  return desk;
}

describe("a backfill", () => {
  it.each(TYPES)(
    "A cursor of type %s has the rows at and after a bound, and not those at the next",
    async (type, from, to) => {
      const desk = await days(type);
      const options = { cursorColumn: "at", keyColumns: ["id"] };
      const reader = await desk.streamReader(options);
      const ids = async (start: string, end: string) => {
        const ranges = await reader.partitions(await reader.offsetAt(start), await reader.offsetAt(end));
        const rows = await Promise.all(ranges.map((range) => desk.read(range, options)));
        return rows.flat().map(({ id }) => Number(id));
      };
      expect(await ids(from, to)).toEqual([21, 22, 31, 32]);
      expect(await ids(to, "2026-01-05T00:00:00.000Z")).toEqual([41, 42]);
      expect(await reader.completeUpTo()).toMatch(/^20\d\d-.*Z$/);
    },
  );

  it("A cursor of numbers is complete up to the number after its last, and compares by the server", async () => {
    const desk = await deskOf(server);
    await desk.db.query("INSERT INTO t (word) SELECT 'w' FROM generate_series(1, 100)");
    const reader = await desk.streamReader();
    expect(await reader.completeUpTo()).toBe("101");
    expect(await reader.offsetAt("10")).toEqual({ id: "9" });
    const { partitions } = await desk.batch({ id: "9" });
    expect(valuesOf(partitions)[0]).toBe(10);
    expect(await reader.comparePositions({ id: "9" }, { id: "10" })).toBe(-1);
    expect(await reader.comparePositions({}, { id: "10" })).toBe(-1);
    const live = [{ start: { id: "50" } }];
    const range = async (from: string, to: string) => ({
      start: await reader.offsetAt(from),
      end: await reader.offsetAt(to),
    });
    expect(await overlapping(reader as never, live, await range("10", "51"))).toBeUndefined();
    expect(await overlapping(reader as never, live, await range("10", "52"))).toBe(live[0]);
  });

  it("A time for a cursor of numbers, and a cursor of text, are refused", async () => {
    const desk = await deskOf(server);
    const numbers = await desk.streamReader();
    await expect(numbers.offsetAt("2026-01-01T00:00:00.000Z")).rejects.toMatchObject({
      code: "BACKFILL_RANGE_INVALID",
    });
    await expect(numbers.completeUpTo()).rejects.toMatchObject({ code: "BACKFILL_INCOMPLETE" });
    const text = await desk.streamReader({ cursorColumn: "word", nullCursors: "skip" });
    await expect(text.offsetAt("1")).rejects.toMatchObject({ code: "BACKFILL_NOT_SUPPORTED" });
  });
});
