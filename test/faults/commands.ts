// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import type { DataSourceClass } from "../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import {
  literal,
  predicate,
  reference,
  scalar,
  source as sourceColumn,
} from "../../shared/contract/write/predicates.ts";
import type { TableRow } from "./row-table.ts";
import type { CommandName } from "./setup.ts";

/** The rows of a merge's source, by partition. Two of them are not in the table at first. */
export const SOURCE_ROWS: readonly (readonly TableRow[])[] = [
  [
    { id: 1, v: 5 },
    { id: 10, v: 7 },
  ],
  [
    { id: 2, v: 1 },
    { id: 11, v: 2 },
  ],
  [{ id: 4, v: 3 }],
];

/** A command, and what it means: the rows after it. */
interface Command {
  make(
    named: ReturnType<typeof pipeline>,
    table: DataSourceClass<never>,
    rows: DataSourceClass<never>,
  ): unknown;
  meaning(rows: readonly TableRow[]): readonly TableRow[];
}

const [id, v] = [reference("id"), reference("v")];
const IS_LARGE = predicate(">=", v, literal(30));
const plus = (row: TableRow, n: number): TableRow => ({ ...row, v: row.v + n });
const found = (row: TableRow) => SOURCE_ROWS.flat().find((each) => each.id === row.id);
const missing = (rows: readonly TableRow[]) =>
  SOURCE_ROWS.flat().filter((row) => !rows.some((each) => each.id === row.id));

/** Each of them shows if it is carried out twice, or with the rows of another time. */
export const COMMANDS: Readonly<Record<CommandName, Command>> = {
  delete: {
    make: (named, table) => named.table(table, {} as never).deleteWhere(IS_LARGE),
    meaning: (rows) => rows.filter((row) => row.v < 30),
  },
  "delete by filter": {
    make: (named, table) => named.table(table, {} as never).deleteWhere(IS_LARGE),
    meaning: (rows) => rows.filter((row) => row.v < 30),
  },
  update: {
    make: (named, table) =>
      named.table(table, {} as never).update({
        set: { v: scalar("+", v, literal(1)) },
        where: predicate("<>", id, literal(3)),
      }),
    meaning: (rows) => rows.map((row) => (row.id === 3 ? row : plus(row, 1))),
  },
  merge: {
    make: (named, table, rows) =>
      named.table(table, {} as never).merge(named.read.format(rows), {
        on: "id",
        whenMatched: [
          { when: predicate("=", id, literal(2)), then: "delete" },
          { then: "update", set: { v: scalar("+", v, sourceColumn("v")) } },
        ],
        whenNotMatched: [{ then: "insert", set: "*" }],
        whenNotMatchedBySource: [{ when: IS_LARGE, then: "update", set: { v: scalar("+", v, literal(1)) } }],
      }),
    meaning: (rows) => [
      ...rows.flatMap((row) => {
        const other = found(row);
        if (other === undefined) return [row.v < 30 ? row : plus(row, 1)];
        return row.id === 2 ? [] : [plus(row, other.v)];
      }),
      ...missing(rows),
    ],
  },
  insert: {
    make: (named, table, rows) =>
      named.table(table, {} as never).merge(named.read.format(rows), {
        on: "id",
        whenNotMatched: [{ then: "insert", set: "*" }],
      }),
    meaning: (rows) => [...rows, ...missing(rows)],
  },
};

/** Returns the pipeline of a command. */
export function commandOf(
  name: string,
  command: CommandName,
  table: DataSourceClass<never>,
  rows: DataSourceClass<never>,
): Pipeline {
  return COMMANDS[command].make(pipeline(name), table, rows) as Pipeline;
}
