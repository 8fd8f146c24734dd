import { describe, expect, it } from "vitest";
import { AlwaysTrue, And, EqualTo, type Filter, GreaterThan } from "../../../shared/contract/filters.ts";
import { deleteFrom, truncateTable } from "../../../shared/contract/write/delete.ts";
import { CustomSumMetric } from "../../../shared/contract/write/metrics.ts";
import { filterText, predicateText } from "../../../shared/contract/write/predicate-text.ts";
import { type Predicate, predicate, reference } from "../../../shared/contract/write/predicates.ts";
import type {
  SupportsDelete,
  SupportsDeleteV2,
  Table,
  TableCapability,
  TruncatableTable,
} from "../../../shared/contract/write/table.ts";

class FilesRemoved extends CustomSumMetric {
  override readonly name = "filesRemoved";
  override readonly description = "number of removed files";
}

/** What the table answers, and which of the interfaces it has. */
interface Script {
  readonly deletes?: "predicates" | "filters";
  readonly truncates?: boolean;
  readonly asks?: boolean;
  readonly answer?: boolean;
  readonly metrics?: boolean;
  readonly capabilities?: readonly TableCapability[];
  readonly fails?: string;
}

/** A table that logs the calls of its methods. */
function tableOf(script: Script): { readonly table: Table; readonly calls: readonly unknown[][] } {
  const calls: unknown[][] = [];
  const log = (...call: unknown[]) => {
    calls.push(call);
    if (script.fails === call[0]) throw new Error(`no ${call[0]}`);
  };
  const textOf = (one: Filter | Predicate) =>
    one.kind === "predicate" ? predicateText(one) : filterText(one);
  const canDeleteWhere = (given: readonly (Filter | Predicate)[]) => {
    log("canDeleteWhere", given.map(textOf));
    return script.answer ?? true;
  };
  const deletion = {
    ...(script.deletes === "filters" ? { filterForm: "filters" } : {}),
    ...(script.asks === false ? {} : { canDeleteWhere }),
    deleteWhere: async (given: readonly (Filter | Predicate)[], options: unknown) =>
      log("deleteWhere", given.map(textOf), options),
  };
  const truncation = {
    truncateTable: async (options: unknown) => {
      log("truncateTable", options);
      return script.answer ?? true;
    },
  };
  const metrics = {
    supportedCustomMetrics: () => {
      log("supportedCustomMetrics");
      return script.metrics ? [new FilesRemoved()] : [];
    },
    reportDriverMetrics: async () => {
      log("reportDriverMetrics");
      return [
        { name: "filesRemoved", value: 7 },
        { name: "other", value: 1 },
      ];
    },
  };
  const table: Table & Partial<SupportsDelete | SupportsDeleteV2> & Partial<TruncatableTable> = {
    name: "t",
    capabilities: new Set<TableCapability>(script.capabilities ?? ["BATCH_READ"]),
    ...(script.deletes === undefined ? {} : (deletion as unknown as SupportsDelete)),
    ...(script.truncates ? truncation : {}),
    ...metrics,
  };
  return { table, calls };
}

const CONDITION = new And(new EqualTo("dep", "a"), new GreaterThan("v", 0));

/** Returns the calls of a deletion that is refused with this message. */
async function refusal(
  script: Script,
  condition: Filter | Predicate | undefined,
  message: string,
): Promise<readonly unknown[][]> {
  const { table, calls } = tableOf(script);
  await expect(deleteFrom(table, condition)).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED", message });
  return calls;
}

describe("deleteFrom", () => {
  it("A table is asked if it can delete, then for its metrics, then deletes, then reports", async () => {
    const { table, calls } = tableOf({ deletes: "predicates", metrics: true });
    expect(await deleteFrom(table, CONDITION, { fast: true })).toEqual({
      metrics: { "number of removed files": "7" },
    });
    expect(calls).toEqual([
      ["canDeleteWhere", ["dep = 'a'", "v > 0"]],
      ["supportedCustomMetrics"],
      ["deleteWhere", ["dep = 'a'", "v > 0"], { fast: true }],
      ["reportDriverMetrics"],
    ]);
  });

  it("A table of the older interface gets filters", async () => {
    const { table, calls } = tableOf({ deletes: "filters" });
    await deleteFrom(table, CONDITION);
    expect(calls).toEqual([
      ["canDeleteWhere", ["EqualTo(dep,a)", "GreaterThan(v,0)"]],
      ["supportedCustomMetrics"],
      ["deleteWhere", ["EqualTo(dep,a)", "GreaterThan(v,0)"], {}],
    ]);
  });

  it("Without a condition a table is asked with TRUE, even if it could be truncated", async () => {
    const { table, calls } = tableOf({ deletes: "predicates", truncates: true });
    await deleteFrom(table, undefined);
    expect(calls).toEqual([
      ["canDeleteWhere", ["TRUE"]],
      ["supportedCustomMetrics"],
      ["deleteWhere", ["TRUE"], {}],
    ]);
  });

  it("A table without canDeleteWhere can delete whatever the condition is", async () => {
    const { table, calls } = tableOf({ deletes: "predicates", asks: false });
    await deleteFrom(table, new EqualTo("dep", "a"));
    expect(calls.map(([call]) => call)).toEqual(["supportedCustomMetrics", "deleteWhere"]);
  });

  it("A table that can only be truncated is truncated without a condition, or if all rows match", async () => {
    for (const condition of [undefined, new AlwaysTrue()]) {
      const { table, calls } = tableOf({ truncates: true, metrics: true });
      expect(await deleteFrom(table, condition, { fast: true })).toEqual({
        metrics: { "number of removed files": "7" },
      });
      expect(calls).toEqual([
        ["supportedCustomMetrics"],
        ["truncateTable", { fast: true }],
        ["reportDriverMetrics"],
      ]);
    }
  });

  it("A table that refuses is not called further, and the error has the condition", async () => {
    const script = { deletes: "predicates", truncates: true, answer: false } as const;
    expect(
      await refusal(script, CONDITION, "table \"t\" cannot delete the rows with [dep = 'a', v > 0]"),
    ).toEqual([["canDeleteWhere", ["dep = 'a'", "v > 0"]]]);
    expect(await refusal(script, undefined, 'table "t" cannot delete the rows with [TRUE]')).toHaveLength(1);
    const older = { ...script, deletes: "filters" } as const;
    expect(
      await refusal(older, CONDITION, "table \"t\" cannot delete the rows with [dep = 'a', v > 0]"),
    ).toEqual([["canDeleteWhere", ["EqualTo(dep,a)", "GreaterThan(v,0)"]]]);
  });

  it("A table of the older interface is not asked with a condition that has no form as filters", async () => {
    const columns = predicate("=", reference("dep"), reference("v"));
    const message = 'table "t" cannot delete the rows with [dep = v]';
    expect(await refusal({ deletes: "filters" }, columns, message)).toEqual([]);
  });

  it("A table that cannot delete these rows is not called at all", async () => {
    const message = "table \"t\" does not support deletes of the rows with [dep = 'a', v > 0]";
    expect(await refusal({}, CONDITION, message)).toEqual([]);
    expect(await refusal({ truncates: true }, CONDITION, message)).toEqual([]);
    expect(
      await refusal({}, undefined, 'table "t" does not support deletes of the rows with [TRUE]'),
    ).toEqual([]);
    const writeOnly = { deletes: "predicates", capabilities: ["BATCH_WRITE"] } as const;
    expect(await refusal(writeOnly, CONDITION, 'table "t" does not support batch scan')).toEqual([]);
  });

  it("A condition that is no filter is refused before the table is called", async () => {
    const { table, calls } = tableOf({ deletes: "predicates" });
    await expect(deleteFrom(table, "dep = 'a'" as unknown as Filter)).rejects.toMatchObject({
      code: "FILTER_INVALID",
    });
    expect(calls).toEqual([]);
  });

  it("An error of a method ends the deletion and comes through", async () => {
    for (const fails of ["canDeleteWhere", "supportedCustomMetrics", "deleteWhere", "reportDriverMetrics"]) {
      const { table, calls } = tableOf({ deletes: "predicates", metrics: true, fails });
      await expect(deleteFrom(table, CONDITION)).rejects.toThrow(`no ${fails}`);
      expect(calls.at(-1)?.[0]).toBe(fails);
    }
  });
});

describe("truncateTable", () => {
  it("A table is asked for its metrics, then truncated, then reports", async () => {
    const { table, calls } = tableOf({ truncates: true, metrics: true });
    expect(await truncateTable(table)).toEqual({ metrics: { "number of removed files": "7" } });
    expect(calls).toEqual([["supportedCustomMetrics"], ["truncateTable", {}], ["reportDriverMetrics"]]);
  });

  it("A table that answers false, or has no such method, is an error", async () => {
    const { table, calls } = tableOf({ truncates: true, answer: false, metrics: true });
    await expect(truncateTable(table)).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
      message: 'table "t" could not delete all rows: truncateTable() returned false',
    });
    expect(calls.map(([call]) => call)).toEqual(["supportedCustomMetrics", "truncateTable"]);
    const other = tableOf({ deletes: "predicates" });
    await expect(truncateTable(other.table)).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
      message: 'table "t" does not support truncates',
    });
    expect(other.calls).toEqual([]);
  });
});
