import * as z from "zod";
import { loadPostgres } from "./catalog/sql/postgres.ts";
import { loadParquetWriter } from "./files/parquet-file.ts";

const WITH_POSTGRES = z.object({ catalog: z.object({ type: z.literal("postgres") }) });

/** Loads the packages that a table with these options needs. Error: `DEPENDENCY_MISSING`. */
export async function loadPackages(options: unknown): Promise<void> {
  await loadParquetWriter();
  if (WITH_POSTGRES.safeParse(options).success) await loadPostgres();
}
