import type { Schema } from "apache-arrow";
import { checkClustering } from "../../arrow/hash-rows.ts";
import { checkOrdering } from "../../arrow/sort-keys.ts";
import type { Arrangement } from "../../contract/arrangement.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { findNonJson } from "../../contract/json.ts";
import type { Awaitable } from "../../contract/stream-reader.ts";
import type { RequiresDistributionAndOrdering, SortOrder } from "../../contract/write/distribution.ts";
import type { Write } from "../../contract/write/write.ts";
import { DEFAULT_BUCKETS, type ShuffleSize, type ShuffleSpec, TARGET_BYTES } from "../shuffle/spec.ts";
import { guard } from "./guard.ts";

/** How the rows of a write are exchanged between tasks, and sorted within each task. */
export interface Requirement {
  /** Absent if rows stay with the task that reads them. */
  readonly spec?: ShuffleSpec;
  readonly ordering: readonly SortOrder[];
}

/**
 * Asks a write what it requires, in Spark's order. What it does not require, the pipeline decides.
 * `schema` is that of the rows that the writers get. Throws `DISTRIBUTION_INVALID`.
 */
export async function requirementOf(
  write: Write,
  schema: Schema,
  arrangement: Arrangement | undefined,
  where: ErrorLocation,
): Promise<Requirement> {
  const own = requires(write) ? await ask(write, schema, where) : { ordering: [] };
  const arranged = specOf(arrangement);
  const spec = own.spec ?? (arranged && checked(arranged, schema, where));
  const ordering = own.ordering.length > 0 ? own.ordering : (arrangement?.ordering ?? []);
  checkOrders(ordering, schema, where);
  return { ...(spec === undefined ? {} : { spec }), ordering };
}

/** True if the write requires a distribution or an order of its rows. */
export function requires(write: Write): write is Write & RequiresDistributionAndOrdering {
  return typeof (write as Partial<RequiresDistributionAndOrdering>).requiredDistribution === "function";
}

/** Adds the requirements of the table's write, if it has any, to a write of the engine. */
export function withRequirementOf<W extends Write>(write: W, table: Write): W {
  if (!requires(table)) return write;
  const required: Required<Omit<RequiresDistributionAndOrdering, keyof Write>> = {
    requiredDistribution: () => table.requiredDistribution(),
    distributionStrictlyRequired: () => table.distributionStrictlyRequired?.() ?? true,
    requiredNumPartitions: () => table.requiredNumPartitions?.() ?? 0,
    advisoryPartitionSizeInBytes: () => table.advisoryPartitionSizeInBytes?.() ?? 0,
    requiredOrdering: () => table.requiredOrdering(),
  };
  return Object.assign(write, required);
}

async function ask(
  write: RequiresDistributionAndOrdering,
  schema: Schema,
  where: ErrorLocation,
): Promise<Requirement> {
  const call = async <T>(method: string, body: () => Awaitable<T>): Promise<T> =>
    await guard("SINK_FAILED", `${method}() failed`, where, body);
  const number = await call("requiredNumPartitions", () => write.requiredNumPartitions?.() ?? 0);
  const bytes = await call("advisoryPartitionSizeInBytes", () => write.advisoryPartitionSizeInBytes?.() ?? 0);
  const distribution = await call("requiredDistribution", () => write.requiredDistribution());
  if (number > 0 && bytes > 0) throw invalid("a number of partitions and an advisory size", where);
  if (distribution.kind === "unspecified" && number > 0)
    throw invalid("a number of partitions without a distribution", where);
  if (distribution.kind === "unspecified" && bytes > 0)
    throw invalid("an advisory size without a distribution", where);
  let spec: ShuffleSpec | undefined;
  if (distribution.kind !== "unspecified") {
    const split =
      distribution.kind === "clustered"
        ? ({ kind: "hash", expressions: distribution.clustering } as const)
        : ({ kind: "range", ordering: distribution.ordering } as const);
    checked({ ...split, ...sizeOf(number, bytes, true) }, schema, where);
    const isStrict = await call(
      "distributionStrictlyRequired",
      () => write.distributionStrictlyRequired?.() ?? true,
    );
    spec = { ...split, ...sizeOf(number, bytes, isStrict) };
  }
  const ordering = await call("requiredOrdering", () => write.requiredOrdering());
  return { ...(spec === undefined ? {} : { spec }), ordering };
}

/** A number that is only a wish says with how many buckets the rows are split at first. */
function sizeOf(number: number, bytes: number, isStrict: boolean): ShuffleSize {
  return {
    buckets: number > 0 ? number : DEFAULT_BUCKETS,
    isFixed: number > 0 && isStrict,
    targetBytes: bytes > 0 ? bytes : TARGET_BYTES,
    maySplit: !isStrict,
  };
}

function specOf(arrangement: Arrangement | undefined): ShuffleSpec | undefined {
  if (arrangement?.distribution === undefined) return undefined;
  const { distribution, numPartitions = 0 } = arrangement;
  const size = sizeOf(numPartitions, 0, true);
  if (distribution.kind === "even") return { kind: "even", ...size };
  return distribution.kind === "clustered"
    ? { kind: "hash", expressions: distribution.clustering, ...size }
    : { kind: "range", ordering: distribution.ordering, ...size };
}

/** Checks that the rows can be split like that, and that the plan can be recorded. */
function checked(spec: ShuffleSpec, schema: Schema, where: ErrorLocation): ShuffleSpec {
  if (spec.kind === "hash") {
    located(where, () => checkClustering(schema, spec.expressions));
    checkJson(spec.expressions, "clustering", where);
  }
  if (spec.kind === "range") checkOrders(spec.ordering, schema, where);
  return spec;
}

function checkOrders(orders: readonly SortOrder[], schema: Schema, where: ErrorLocation): void {
  located(where, () => checkOrdering(schema, orders));
  checkJson(orders, "ordering", where);
}

function checkJson(value: unknown, name: string, where: ErrorLocation): void {
  const problem = findNonJson(value, name);
  if (problem !== undefined) throw invalid(`${problem}, but it is recorded as JSON`, where);
}

function located(where: ErrorLocation, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw MillraceError.is(error) ? error.with({ where }) : error;
  }
}

function invalid(problem: string, where: ErrorLocation): MillraceError {
  return new MillraceError("DISTRIBUTION_INVALID", `the write requires ${problem}`, {
    where,
    hint: "Nothing was read or written. Correct requiredDistribution() of the write, or the methods beside it.",
  });
}
