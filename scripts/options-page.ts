import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as z from "zod";
import { ArrowTable } from "../shared/connectors/arrow-table/index.ts";
import { OPTIONS as DYNAMODB } from "../shared/connectors/dynamodb/options.ts";
import { OPTIONS as EVENTS } from "../shared/connectors/events/options.ts";
import { OPTIONS as FILES } from "../shared/connectors/files/options.ts";
import { OPTIONS as ICEBERG } from "../shared/connectors/iceberg/options.ts";
import { OPTIONS as KINESIS } from "../shared/connectors/kinesis/options.ts";
import { Memory } from "../shared/connectors/memory/index.ts";
import { OPTIONS as POSTGRES } from "../shared/connectors/postgres/options.ts";
import { MICRO_BATCH_OPTIONS, RATE_OPTIONS } from "../shared/connectors/rate/options.ts";
import { OPTIONS as REST_API } from "../shared/connectors/rest-api/options.ts";
import { OPTIONS as SQS } from "../shared/connectors/sqs/options.ts";
import { type DeclaredOption, declaredOptions } from "./options/declared.ts";
import { validatedOptions } from "./options/validated.ts";

/**
 * Writes docs/options.md from the schemas that validate options and the docstrings of their
 * interfaces. `--check` only compares the page with them.
 */

const ROOT = join(import.meta.dirname, "..");
const PAGE = join(ROOT, "docs/options.md");
const CONNECTORS = join(ROOT, "shared/connectors");

/** A connector's schema, and the folder and the interface that describe it. */
interface OptionsOf {
  readonly format: string;
  readonly folder: string;
  readonly interfaceName: string;
  readonly schema: z.ZodType;
}

/** Every data source of the package that has options. */
export const ALL: readonly OptionsOf[] = [
  of("arrow-table", "ArrowTableOptions", ArrowTable.optionsSchema as unknown as z.ZodType),
  of("dynamodb", "DynamoDbOptions", DYNAMODB),
  of("events", "EventsOptions", EVENTS),
  of("files", "FilesOptions", FILES),
  of("iceberg", "IcebergOptions", ICEBERG as unknown as z.ZodType),
  of("kinesis", "KinesisOptions", KINESIS),
  of("memory", "MemoryOptions", Memory.optionsSchema as unknown as z.ZodType),
  of("postgres", "PostgresOptions", POSTGRES),
  of("rate", "RateOptions", RATE_OPTIONS),
  of("rate-micro-batch", "RateMicroBatchOptions", MICRO_BATCH_OPTIONS, "rate"),
  of("rest-api", "RestApiOptions", REST_API),
  of("sqs", "SqsOptions", SQS),
];

function of(format: string, interfaceName: string, schema: z.ZodType, folder = format): OptionsOf {
  return { format, interfaceName, schema, folder };
}

const INTRO = `# Options of all connectors

<!-- Written by \`npm run docs:options\` from the schemas and docstrings of shared/connectors. -->

One table for each \`.format(…)\`. The options of a pipeline are checked against the same schemas
before anything is planned. \`<name>\` stands for a name of your own, such as a column's.
`;

/**
 * Returns the text of docs/options.md for the current schemas. Throws if a schema and its interface
 * differ.
 */
export function optionsPage(): string {
  return [INTRO, ...ALL.map(section)].join("\n");
}

function section({ format, folder, interfaceName, schema }: OptionsOf): string {
  const declared = declaredOptions(join(CONNECTORS, folder), interfaceName, join(CONNECTORS, "kit/postgres"));
  const validated = validatedOptions(schema);
  const names = new Set([...declared.keys(), ...validated.keys()]);
  const differing = [...names].filter((name) => declared.has(name) !== validated.has(name));
  if (differing.length > 0)
    throw new Error(`${interfaceName} and the schema of ${format} differ in: ${differing.join(", ")}`);
  const undocumented = [...declared].filter(([, { doc }]) => doc === "").map(([name]) => name);
  if (undocumented.length > 0)
    throw new Error(`${interfaceName} has no docstring for: ${undocumented.join(", ")}`);
  const head = ["option", "type", "default", "meaning"];
  const rows = merged([...declared].map(([name, option]) => row(option, validated.get(name)?.default)));
  const table = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  return `## \`${format}\`\n\nGuide: [${folder}.md](${folder}.md)\n\n${table}\n`;
}

interface Row {
  readonly kind: string | undefined;
  readonly cells: readonly [path: string, type: string, preset: string, meaning: string];
}

function row({ path, type, isRequired, doc, kind }: DeclaredOption, preset: string | undefined): Row {
  const shown = isRequired ? "required" : preset === undefined ? defaultIn(doc) : code(preset);
  const plainType = type
    .replaceAll(/\/\*\*.*?\*\/ /g, "")
    .replaceAll("readonly ", "")
    .replaceAll(/Readonly<(.*)>/g, "$1")
    .replace(/^\| /, "");
  return { kind, cells: [code(path), code(plainType), shown, withoutDefault(doc, preset)] };
}

/** Merges the rows of a discriminated union's parts if they are the same but for the part. */
function merged(rows: readonly Row[]): string[][] {
  const kindsOf = Map.groupBy(rows, ({ cells }) => cells.join("\n"));
  return [...kindsOf.values()].map((same) => {
    const [path = "", type = "", preset = "", meaning = ""] = same[0]?.cells ?? [];
    const kinds = same.flatMap(({ kind }) => (kind === undefined ? [] : [code(kind)]));
    const note = kinds.length === 0 ? "" : `${kinds.join(", ")}: `;
    return [path, type, preset, `${note}${meaning}`].map((cell) => cell.replaceAll("|", "\\|"));
  });
}

/** Some defaults depend on other options, so that only the docstring has them: `Default 100.` */
function defaultIn(doc: string): string {
  const found = /\bDefault(?:: | (?=[`\d]|true|false|none))(`[^`]*`|[^.,]+)/.exec(doc)?.[1] ?? "–";
  return /^(?:[\d.]+|true|false)$/.test(found) ? code(found) : found;
}

/** Removes a sentence such as `Default 100.` if the table's column says the same. */
function withoutDefault(doc: string, preset: string | undefined): string {
  const said = preset?.replaceAll('"', "");
  return doc
    .replaceAll(/(?:^| )Default:? `?"?([^\s`"]+?)"?`?\.(?= |$)/g, (sentence, value) =>
      value === said ? "" : sentence,
    )
    .trim();
}

function code(text: string): string {
  return `\`${text}\``;
}

if (process.argv[1] === import.meta.filename) {
  if (!process.argv.includes("--check")) writeFileSync(PAGE, optionsPage());
  else if (readFileSync(PAGE, "utf8") !== optionsPage()) {
    console.error("docs/options.md does not match the schemas: npm run docs:options");
    process.exitCode = 1;
  }
}
