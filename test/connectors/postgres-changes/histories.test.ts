import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ChangeDesk, type Delta, type KeyChange } from "../../postgres/change-desk.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

/** Histories of each kind. A failed one prints its seed and what is left of it. */
const RUNS = 25;
const LIMIT = { timeout: 240_000 };
const DDL = "id bigint NOT NULL, v string";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

let names = 0;
/** Returns a function that opens a desk with a new table of one database. */
async function desks(): Promise<() => ChangeDesk> {
  const first = await ChangeDesk.open(server);
  return () => first.with({ table: `t${names++}` });
}

/** A wish to change a row. It is left out of a batch that would have two rows of one id. */
const wish = fc.record({
  kind: fc.constantFrom("update", "move", "delete", "insert"),
  id: fc.integer({ min: 0, max: 6 }),
  to: fc.integer({ min: 0, max: 6 }),
  v: fc.option(fc.string({ maxLength: 3 }).filter((text) => !text.includes("\0"))),
});
type Wish = typeof wish extends fc.Arbitrary<infer T> ? T : never;

type Model = Map<number, string | null>;

/**
 * Applies the wishes that are possible together, and returns them as deltas: each row is changed
 * once, and no two rows get one id.
 */
function deltasOf(wishes: readonly Wish[], model: Model): Delta[] {
  const touched = new Set<number>();
  const added: Model = new Map();
  const deltas = wishes.flatMap(({ kind, id, to, v }): Delta[] => {
    const target = kind === "move" ? to : id;
    if (kind !== "delete" && added.has(target)) return [];
    if (kind !== "insert" && (touched.has(id) || !model.has(id))) return [];
    if (kind !== "insert") touched.add(id);
    if (kind === "delete") return [{ delete: { id } }];
    added.set(target, v);
    const row = { id: target, v };
    return [kind === "insert" ? { insert: row } : { update: { id }, row }];
  });
  const stay = [...model.keys()].filter((id) => !touched.has(id));
  if (stay.some((id) => added.has(id))) return [];
  for (const id of touched) model.delete(id);
  for (const [id, v] of added) model.set(id, v);
  return deltas;
}

it(
  "Random deltas with exchanged ids leave the rows of a model, also if each is committed twice",
  LIMIT,
  async () => {
    const open = await desks();
    let applied = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(wish, { maxLength: 9 }), { minLength: 1, maxLength: 6 }),
        async (batches) => {
          const d = open();
          await d.query(
            `CREATE TABLE ${d.options.table} (id bigint PRIMARY KEY, v text); INSERT INTO ${d.options.table} VALUES (0, 'a'), (1, 'b'), (2, 'c'), (3, 'd')`,
          );
          const model = new Map<number, string | null>([
            [0, "a"],
            [1, "b"],
            [2, "c"],
            [3, "d"],
          ]);
          const pipeline = `p${names}`;
          for (const [batchId, wishes] of batches.entries()) {
            const deltas = deltasOf(wishes, model);
            if (deltas.length > 0) applied++;
            const half = Math.ceil(deltas.length / 2);
            const context = { batchId, pipeline };
            const messages = await d.stageDeltas([deltas.slice(0, half), deltas.slice(half)], DDL, context);
            await d.commitDeltas(messages, DDL, context);
            if (batchId % 2 === 0) await d.commitDeltas(messages, DDL, context);
            const expected = [...model].sort(([a], [b]) => a - b).map(([id, v]) => [String(id), v]);
            expect(await d.query(`SELECT id, v FROM ${d.options.table} ORDER BY id`)).toEqual(expected);
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(applied).toBeGreaterThan(RUNS / 2);
  },
);

const change: fc.Arbitrary<KeyChange> = fc
  .record({
    id: fc.integer({ min: 0, max: 2 }),
    sequence: fc.integer({ min: -6, max: 6 }),
    v: fc.option(fc.constantFrom("x", "y", "z")),
    isDelete: fc.boolean(),
  })
  .map(({ id, sequence, v, isDelete }) => ({ id: { id }, sequence, ...(isDelete ? {} : { row: { v } }) }));
/** Batches of two tasks. A batch that is repeated is committed twice. */
const history = fc.array(
  fc.record({
    tasks: fc.tuple(fc.array(change, { maxLength: 6 }), fc.array(change, { maxLength: 6 })),
    isRepeated: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

/** The first change of each sequence of each key. */
type Events = Map<unknown, Map<number, KeyChange>>;
function addTo(events: Events, changes: readonly KeyChange[]): void {
  for (const one of changes) {
    const own = events.get(one.id["id"]) ?? new Map<number, KeyChange>();
    events.set(one.id["id"], own);
    if (!own.has(one.sequence)) own.set(one.sequence, one);
  }
}
const inOrder = (own: Map<number, KeyChange>) => [...own.values()].sort((a, b) => a.sequence - b.sequence);
const keysOf = (events: Events) => [...events].sort(([a], [b]) => Number(a) - Number(b));
const textOf = ({ row }: KeyChange): string | null => (row?.["v"] as string | null | undefined) ?? null;

function newestOf(events: Events): (string | null)[][] {
  return keysOf(events).flatMap(([id, own]) => {
    const last = inOrder(own).at(-1);
    return last?.row === undefined ? [] : [[String(id), textOf(last)]];
  });
}

function statesOf(events: Events): (string | null)[][] {
  return keysOf(events).flatMap(([id, own]) =>
    inOrder(own).flatMap((one, i, list) => {
      const next = list[i + 1]?.sequence;
      const end = next === undefined ? null : String(next);
      return one.row === undefined ? [] : [[String(id), String(one.sequence), end, textOf(one)]];
    }),
  );
}

it.each([
  { type: 1 as const, columns: "id, v", expected: newestOf },
  { type: 2 as const, columns: 'id, "__START_AT", "__END_AT", v', expected: statesOf },
])(
  "Random changes in any order, with repeated batches, leave the rows of a model with SCD type $type",
  LIMIT,
  async ({ type, columns, expected }) => {
    const open = await desks();
    await fc.assert(
      fc.asyncProperty(history, async (batches) => {
        const d = open();
        const events: Events = new Map();
        const pipeline = `p${names}`;
        for (const [batchId, { tasks, isRepeated }] of batches.entries()) {
          const context = { batchId, pipeline };
          const messages = await d.stageChanges(tasks, { type }, context);
          await d.commitChanges(messages, { type }, context);
          if (isRepeated) await d.commitChanges(messages, { type }, context);
          addTo(events, tasks.flat());
          const order = type === 1 ? "id" : 'id, "__START_AT"';
          const rows = await d.query(`SELECT ${columns} FROM ${d.options.table} ORDER BY ${order}`);
          expect(rows).toEqual(expected(events));
        }
      }),
      { numRuns: RUNS },
    );
  },
);
