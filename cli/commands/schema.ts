import { Home, runtime } from "../../local/home.ts";
import { schemaToJson, toDdl } from "../../shared/contract/ddl/json.ts";
import { STORE_FOLDER } from "../../shared/contract/store-layout.ts";
import { inferSchema } from "../../shared/engine/infer.ts";
import { openSessions } from "../../shared/engine/sessions/open-sessions.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { MemoryStore, memoryObjects } from "../../shared/platform/memory/memory-store.ts";
import { loadDefinition } from "../definitions.ts";
import { printJson, printLine, reserveStdout, tellLine } from "../render/terminal.ts";

interface SchemaFlags {
  readonly home: string;
  readonly infer?: boolean;
  readonly rows: number;
  readonly json?: boolean;
}

/**
 * `millrace schema`: prints the schema of a pipeline's rows as DDL, or proposes one from a sample
 * of its source. Records nothing.
 */
export async function schemaCommand(nameOrFile: string, flags: SchemaFlags): Promise<void> {
  const found = await withoutOutput(() => schemaOf(nameOrFile, flags));
  const schema = toDdl(schemaToJson(found.schema));
  if (flags.json === true) {
    printJson({ pipeline: found.pipeline, schema, notes: found.notes, rows: found.rows ?? null });
    return;
  }
  if (flags.infer !== true) {
    printLine(schema);
    return;
  }
  tellLine(
    found.rows === undefined ? "the source itself tells its schema" : `from ${found.rows} rows of the source`,
  );
  for (const note of found.notes) printLine(`// ${note}`);
  printLine(`.schema(${JSON.stringify(schema)})`);
}

async function schemaOf(nameOrFile: string, flags: SchemaFlags) {
  const home = new Home(flags.home);
  const { pipeline } = await loadDefinition(home, nameOrFile);
  // A source may keep data in its store while it plans. This one is gone afterwards.
  const store = new MemoryStore(memoryObjects(() => runtime.now())).at(STORE_FOLDER.source);
  const ledger = new SqliteLedger(":memory:");
  try {
    const sessions = await openSessions(pipeline, { ...home.ports(pipeline.name, ledger), store });
    try {
      await sessions.checkEnvironment();
      const found =
        flags.infer === true
          ? await inferSchema(sessions, flags.rows)
          : { schema: await sessions.source.schema(), notes: [], rows: undefined };
      return { ...found, pipeline: pipeline.name };
    } finally {
      await sessions.source.stop();
    }
  } finally {
    ledger.close();
  }
}

async function withoutOutput<T>(body: () => Promise<T>): Promise<T> {
  const restore = reserveStdout();
  try {
    return await body();
  } finally {
    restore();
  }
}
