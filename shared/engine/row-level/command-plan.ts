import { Field as ArrowField, type Field, Schema, Struct } from "apache-arrow";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { CheckedClause, RowCommand } from "../../contract/row-command.ts";
import { type Expression, type Predicate, reference } from "../../contract/write/predicates.ts";
import type { MetadataColumn } from "../../contract/write/scan.ts";
import { COUNTS } from "./counts.ts";
import { fieldAt, referencesOf, type Side, sideOf } from "./expressions.ts";
import { fieldOf, type OperationFacts } from "./facts.ts";
import { type Instruction, Instructions, type Output } from "./instructions.ts";
import { type JoinPlan, joinPlan } from "./join-plan.ts";
import { OPERATION, type OperationColumns, OperationLayout } from "./operation-rows.ts";
import { conditionsOf, pushedPredicates } from "./pushdown.ts";
import { RowValues, type Sides } from "./row-values.ts";
import { checkSides, insertedValues, updatedValues } from "./values-of-set.ts";

/** How a command is carried out: what is read, and what becomes of the rows. */
export interface CommandPlan {
  readonly command: RowCommand;
  readonly facts: OperationFacts;
  readonly sides: Sides;
  /** The predicates for the scan; `undefined` if it is not told any. */
  readonly pushed: readonly Predicate[] | undefined;
  /** The columns of the rows, ids and metadata that the write gets. */
  readonly columns: OperationColumns;
  readonly layout: OperationLayout;
  /** For rows of the table: all of them, or those that match a row of a merge's source. */
  readonly matched: Instructions;
  readonly notMatchedBySource: Instructions;
  /** For rows of the source without a match. */
  readonly notMatched: Instructions;
  /** How the sides of a merge are joined. */
  readonly join?: JoinPlan;
}

/**
 * Plans a command. `source` has the columns of a merge's source. Throws `MERGE_INVALID`,
 * `FILTER_INVALID` or `COLUMNS_NOT_MATCHED`.
 */
export function planCommand(
  command: RowCommand,
  facts: OperationFacts,
  source: Schema | undefined,
  where: ErrorLocation,
): CommandPlan {
  return new Planning(command, facts, source, where).plan();
}

/** True if the merge only inserts rows, so that no row of the table changes. */
export function isInsertOnly(command: RowCommand): boolean {
  if (command.command !== "MERGE") return false;
  return command.matched.length === 0 && command.notMatchedBySource.length === 0;
}

/** A clause whose values are expressions for each column of the table. */
interface Clause {
  readonly when: Predicate | undefined;
  readonly action: CheckedClause["then"] | "copy";
  readonly values: readonly Expression[];
  /** The name under which the rows count. */
  readonly counted: string;
}

interface Clauses {
  readonly matched: readonly Clause[];
  readonly notMatchedBySource: readonly Clause[];
  readonly notMatched: readonly Clause[];
}

class Planning {
  readonly #command: RowCommand;
  readonly #facts: OperationFacts;
  readonly #source: Schema | undefined;
  readonly #where: ErrorLocation;

  constructor(command: RowCommand, facts: OperationFacts, source: Schema | undefined, where: ErrorLocation) {
    this.#command = command;
    this.#facts = facts;
    this.#source = source;
    this.#where = where;
  }

  plan(): CommandPlan {
    const command = this.#command;
    const facts = this.#facts;
    const clauses = command.command === "MERGE" ? this.#mergeClauses(command) : this.#clauses(command);
    const sides = this.#sides(clauses);
    const rows = new Map<Clause, RowValues>();
    for (const clause of Object.values(clauses).flat() as readonly Clause[])
      if (clause.action !== "delete")
        rows.set(clause, new RowValues(facts.table, clause.values, sides, this.#where));
    const columns = this.#columns([...rows.values()]);
    const layout = new OperationLayout(columns);
    const instructions = (list: readonly Clause[]) =>
      new Instructions(
        list.map((clause) => this.#instruction(clause, rows.get(clause))),
        layout,
        sides,
      );
    return {
      command,
      facts,
      sides,
      pushed: pushedPredicates(command, facts),
      columns,
      layout,
      matched: instructions(clauses.matched),
      notMatchedBySource: instructions(clauses.notMatchedBySource),
      notMatched: instructions(clauses.notMatched),
      ...(command.command === "MERGE" ? { join: joinPlan(command, sides) } : {}),
    };
  }

  #clauses(command: Exclude<RowCommand, { command: "MERGE" }>): Clauses {
    const isDelete = command.command === "DELETE";
    const conditions = conditionsOf(command.where);
    const when = conditions === undefined ? undefined : command.where;
    if (when !== undefined) this.#check(when, ["target"]);
    const acting: Clause = {
      when,
      action: isDelete ? "delete" : "update",
      values: isDelete ? [] : this.#updated(command.set, ["target"]),
      counted: isDelete ? "numDeletedRows" : "numUpdatedRows",
    };
    const rest = when === undefined ? [] : this.#copied("numCopiedRows");
    return { matched: [acting, ...rest], notMatchedBySource: [], notMatched: [] };
  }

  #mergeClauses(command: Extract<RowCommand, { command: "MERGE" }>): Clauses {
    this.#check(command.on, ["target", "source"]);
    const changes = (list: readonly CheckedClause[], sides: readonly Side[], kind: string) =>
      list.map(({ when, then, set }): Clause => {
        if (when !== undefined) this.#check(when, sides);
        const isDelete = then === "delete";
        const counted = `numTargetRows${kind}${isDelete ? "Deleted" : "Updated"}`;
        return { when, action: then, values: isDelete ? [] : this.#updated(set, sides), counted };
      });
    const copied = isInsertOnly(command) ? [] : this.#copied("numTargetRowsCopied");
    return {
      matched: [...changes(command.matched, ["target", "source"], "Matched"), ...copied],
      notMatchedBySource: [
        ...changes(command.notMatchedBySource, ["target"], "NotMatchedBySource"),
        ...copied,
      ],
      notMatched: command.notMatched.map(({ when, set }): Clause => {
        if (when !== undefined) this.#check(when, ["source"]);
        const values = insertedValues(set, this.#context(["source"]));
        return { when, action: "insert", values, counted: "numTargetRowsInserted" };
      }),
    };
  }

  /** A group is written again with the rows that do not change. */
  #copied(counted: string): readonly Clause[] {
    if (this.#facts.form === "delta") return [];
    const values = this.#facts.table.fields.map(({ name }) => reference(name));
    return [{ when: undefined, action: "copy", values, counted }];
  }

  #updated(set: CheckedClause["set"], sides: readonly Side[]): readonly Expression[] {
    return updatedValues(set, this.#context(sides));
  }

  #context(sides: readonly Side[]) {
    return { table: this.#facts.table, source: this.#source, sides, where: this.#where };
  }

  #check(expression: Expression, sides: readonly Side[]): void {
    checkSides(expression, { sides, where: this.#where });
    for (const one of referencesOf(expression)) {
      const schema = sideOf(one) === "source" ? (this.#source ?? new Schema([])) : this.#facts.all;
      fieldAt(schema, one.attribute, "a condition");
    }
  }

  /** The needed columns of both sides: of a group, all. */
  #sides(clauses: Clauses): Sides {
    const { form, table, all, rowId, metadata } = this.#facts;
    const command = this.#command;
    const list = Object.values(clauses).flat() as readonly Clause[];
    const expressions = [
      ...(command.command === "MERGE" ? [command.on] : []),
      ...list.flatMap(({ when, values }) => (when === undefined ? values : [when, ...values])),
    ];
    const references = expressions.flatMap(referencesOf);
    const names = (side: Side) =>
      new Set(references.filter((one) => sideOf(one) === side).map(({ attribute }) => attribute[0] ?? ""));
    const used = names("target");
    const preserved = metadata.filter((column) => list.some((clause) => this.#preserves(clause, column)));
    const ofTable = table.fields.filter(
      ({ name }) => form === "group" || used.has(name) || rowId.includes(name),
    );
    const others = [...rowId, ...preserved.map(({ name }) => name), ...used].filter(
      (name, i, each) => each.indexOf(name) === i && !table.fields.some((field) => field.name === name),
    );
    const needed = [...ofTable, ...others.map((name) => fieldAt(all, [name], "a row id"))];
    // A scan without columns could not tell how many rows there are.
    const target = new Schema(needed.length === 0 ? table.fields.slice(0, 1) : needed);
    const source = this.#source && this.#neededSource(this.#source, names("source"));
    return { target, source, joined: joinedSchema(target, source) };
  }

  #neededSource(source: Schema, used: ReadonlySet<string>): Schema {
    const needed = source.fields.filter(({ name }) => used.has(name));
    return new Schema(needed.length === 0 ? source.fields.slice(0, 1) : needed);
  }

  /** True if an operation row of the clause has the value of the metadata column. */
  #preserves({ action }: Pick<Clause, "action">, column: MetadataColumn): boolean {
    const { preserveOnDelete = true, preserveOnUpdate = true, preserveOnReinsert = false } = column;
    if (action === "copy") return true;
    if (action === "insert") return false;
    if (action === "delete") return this.#facts.form === "delta" && preserveOnDelete;
    return this.#facts.splitsUpdates ? preserveOnDelete || preserveOnReinsert : preserveOnUpdate;
  }

  /** The columns that the write gets. One may be null if some new row may have a null there. */
  #columns(rows: readonly RowValues[]): OperationColumns {
    const { table, all, form, rowId, metadata } = this.#facts;
    const isDelete = this.#command.command === "DELETE" && form === "delta";
    const row = isDelete
      ? []
      : table.fields.map((field, i) =>
          field.clone({ nullable: rows.some(({ schema }) => schema.fields[i]?.nullable === true) }),
        );
    // Of groups that no row remains of, the columns are those of the table.
    const schema = new Schema(form === "group" && rows.length === 0 ? table.fields : row);
    return {
      row: schema,
      ...(form === "delta" && rowId.length > 0
        ? { id: new Schema(rowId.map((name) => fieldAt(all, [name], "a row id"))) }
        : {}),
      ...(metadata.length > 0 ? { metadata: new Schema(metadata.map(fieldOf)) } : {}),
    };
  }

  #instruction(clause: Clause, row: RowValues | undefined): Instruction {
    const { when, action } = clause;
    const outputs = this.#outputs(action, this.#counted(clause), row);
    return { when, outputs };
  }

  #counted({ counted }: Clause): number {
    return (COUNTS[this.#command.command] as readonly string[]).indexOf(counted);
  }

  #outputs(action: Clause["action"], counted: number, row: RowValues | undefined): readonly Output[] {
    const { form, splitsUpdates, metadata } = this.#facts;
    const kept = (preserves: (column: MetadataColumn) => boolean) =>
      new Set(metadata.filter(preserves).map(({ name }) => name));
    const onDelete = kept(({ preserveOnDelete = true }) => preserveOnDelete);
    const onUpdate = kept(({ preserveOnUpdate = true }) => preserveOnUpdate);
    const onReinsert = kept(({ preserveOnReinsert = false }) => preserveOnReinsert);
    const none: ReadonlySet<string> = new Set();
    const values = row === undefined ? {} : { row };
    if (form === "group") {
      if (action === "delete") return [{ operation: OPERATION.none, counted, hasId: false, metadata: none }];
      const isOld = action !== "insert" && metadata.length > 0;
      const operation = isOld ? OPERATION.writeWithMetadata : OPERATION.write;
      const all = kept(() => true);
      const preserved = !isOld ? none : action === "copy" ? all : onUpdate;
      return [{ operation, counted, ...values, hasId: false, metadata: preserved }];
    }
    switch (action) {
      case "delete":
        return [{ operation: OPERATION.delete, counted, hasId: true, metadata: onDelete }];
      case "insert":
        return [{ operation: OPERATION.insert, counted, ...values, hasId: false, metadata: none }];
      default:
        if (!splitsUpdates)
          return [{ operation: OPERATION.update, counted, ...values, hasId: true, metadata: onUpdate }];
        return [
          { operation: OPERATION.delete, counted: -1, hasId: true, metadata: onDelete },
          { operation: OPERATION.reinsert, counted, ...values, hasId: false, metadata: onReinsert },
        ];
    }
  }
}

/** Returns the schema of joined rows: a struct for each side, null if the side has no row. */
function joinedSchema(target: Schema, source: Schema | undefined): Schema {
  const struct = (name: Side, { fields }: Schema) =>
    new ArrowField(name, new Struct(fields.map(asNullable)), true);
  return new Schema([struct("target", target), ...(source === undefined ? [] : [struct("source", source)])]);
}

function asNullable(field: Field): Field {
  return field.clone({ nullable: true });
}
