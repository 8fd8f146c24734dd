import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import { type Api, failure, serve } from "../../support/api-server.ts";
import { drain, readerOf, rowsIn } from "./draining-reader.ts";
import { idsUpTo, kinds, listOptions, page } from "./paginated-api.ts";

describe.each(kinds)("a list that grows, with the pagination %s", (_name, pagination) => {
  async function growing(): Promise<{
    items: { id: number }[];
    grow(count: number): void;
    api: Api;
    options: RestApiOptions;
  }> {
    const items: { id: number }[] = [];
    const api = await serve((asked) => page(pagination, items, asked));
    const grow = (count: number): void => {
      for (let i = 0; i < count; i++) items.push({ id: items.length });
    };
    return { items, grow, api, options: listOptions(api.url, { pagination }) };
  }

  it("A list is read without loss and without repetition, however it grows", async () => {
    const list = await growing();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        async (steps, pageSize, maxPagesPerBatch, availableNow) => {
          list.items.length = 0;
          const options = { ...list.options, pageSize, maxPagesPerBatch };
          const seen: unknown[] = [];
          let start: object | undefined;
          for (const step of steps) {
            list.grow(step);
            const reader = readerOf(options);
            if (availableNow) reader.prepareForTriggerAvailableNow();
            const drained = await drain(options, { reader, ...(start === undefined ? {} : { start }) });
            seen.push(...drained.rows);
            start = drained.end;
          }
          expect(seen).toEqual(list.items);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("A list continues at the same row if the size of its pages changed", async () => {
    const { grow, options } = await growing();
    grow(25);
    const first = await drain({ ...options, pageSize: 10 });
    grow(35);
    const second = await drain({ ...options, pageSize: 20 }, { start: first.end });
    grow(5);
    const smaller = { ...options, pageSize: 7 };
    if (pagination.type === "cursor") {
      // With pages of 7 rows, the page at this cursor ends before the position of the offset. The
      // reader then throws an error and does not guess.
      expect((await failure(() => drain(smaller, { start: second.end }))).code).toBe("LIST_SHRANK");
      return;
    }
    const third = await drain(smaller, { start: second.end });
    expect(await drain({ ...options, pageSize: 9 }, { start: third.end })).toMatchObject({ batches: [] });
    expect([first, second, third].map((drained) => drained.rows.length)).toEqual([25, 35, 5]);
  });

  it("A batch of a list is replayed as it was planned, although the size of its pages changed since", async () => {
    const { grow, options } = await growing();
    grow(30);
    const { partitions } = await drain({ ...options, pageSize: 10 });
    const replayed = await Promise.all(
      partitions.map((partition) => rowsIn({ ...options, pageSize: 7 }, partition as never)),
    );
    expect(replayed.flat()).toEqual(idsUpTo(30));
  });

  it("A list has no batch while it is empty or has no new rows", async () => {
    const { grow, options } = await growing();
    expect((await drain(options)).batches).toEqual([]);
    grow(3);
    const { end } = await drain(options);
    expect(await drain(options, { start: end })).toMatchObject({ batches: [], end });
  });

  it("A list is read a page per partition, maxPagesPerBatch at a time", async () => {
    const { grow, options } = await growing();
    grow(10);
    const { batches } = await drain({ ...options, maxPagesPerBatch: 2 });
    expect(batches).toEqual(
      pagination.type === "none"
        ? [[10]]
        : [
            [3, 3],
            [3, 1],
          ],
    );
  });

  it("A list is read up to its length at the beginning of an available-now run", async () => {
    const { grow, api, options } = await growing();
    grow(10);
    const reader = readerOf({ ...options, maxPagesPerBatch: 2 });
    reader.prepareForTriggerAvailableNow();
    const { rows, batches, end } = await drain(options, { reader, after: () => grow(5) });
    expect(rows).toEqual(idsUpTo(10));
    expect(batches.flat()).toEqual(pagination.type === "none" ? [10] : [3, 3, 3, 1]);
    const pages = batches.flat().length;
    // The list is known to end by one more page, which is empty.
    const isCounted = pagination.type === "offset" || pagination.type === "page";
    expect(api.asked).toHaveLength(2 * pages + (isCounted ? 1 : 0));
    reader.prepareForTriggerAvailableNow();
    expect((await drain(options, { reader, start: end })).rows[0]).toEqual({ id: 10 });
  });

  it("A list is read up to its length at the beginning of a run in which several readers plan", async () => {
    const { grow, options } = await growing();
    grow(10);
    const bounded = { ...options, maxPagesPerBatch: 2 };
    const rows: unknown[] = [];
    let target: JsonValue | undefined;
    let start = readerOf(bounded).initialOffset() as object;
    for (;;) {
      const reader = readerOf(bounded);
      if (target === undefined) reader.prepareForTriggerAvailableNow();
      else reader.restoreAvailableNow(JSON.parse(JSON.stringify(target)));
      const end = await reader.latestOffset(start, new ReadAllAvailable());
      target = await reader.availableNowTarget();
      if (JSON.stringify(end) === JSON.stringify(start)) break;
      for (const partition of await reader.partitions(start, end))
        rows.push(...(await rowsIn(bounded, partition as never)));
      start = end as object;
      grow(3);
    }
    expect(rows).toEqual(idsUpTo(10));
  });

  it("A partition of a list has the same rows again after the list has grown", async () => {
    const { grow, options } = await growing();
    grow(4);
    const { partitions, rows } = await drain(options);
    grow(4);
    expect((await Promise.all(partitions.map((partition) => rowsIn(options, partition)))).flat()).toEqual(
      rows,
    );
  });

  it("A list that has shrunk is an error", async () => {
    const { items, grow, api, options } = await growing();
    grow(5);
    const { end, partitions } = await drain(options);
    items.length = 4;
    const expected = {
      code: "LIST_SHRANK",
      retryable: false,
      where: { url: expect.stringContaining(api.url) },
    };
    expect(await failure(() => readerOf(options).latestOffset(end, new ReadAllAvailable()))).toMatchObject(
      expected,
    );
    expect(await failure(() => rowsIn(options, partitions.at(-1)))).toMatchObject(expected);
  });

  it("A list keeps the configured query on every page", async () => {
    const { grow, api, options } = await growing();
    grow(7);
    await drain({ ...options, query: { kind: "a b", n2: 5, flag: true } });
    expect(
      new Set(
        api.asked.map(({ url }) => ["kind", "n2", "flag"].map((name) => url.searchParams.get(name)).join()),
      ),
    ).toEqual(new Set(["a b,5,true"]));
  });
});
