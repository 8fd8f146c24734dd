import * as z from "zod";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import { CATALOG_OPTIONS, type CatalogOptions } from "./catalog/options.ts";

/** The table, its catalog, and how the table is made if it does not exist. */
export interface IcebergOptions {
  /** Namespace and name: `"demo.earthquakes"`. A namespace may have several levels. */
  readonly table: string;
  /**
   * The catalog. Default: a SQL catalog with the name `millrace`, in
   * `<home>/warehouse/catalog.db`. On AWS it must be set.
   */
  readonly catalog?: CatalogOptions;
  /**
   * For a new table: by what its rows are divided into files, as `"day(time)"`,
   * `"bucket(16, id)"`, `"truncate(4, name)"` or a column. Default: not divided. If the table
   * exists, it must be divided alike.
   */
  readonly partitionBy?: readonly string[];
  /** For a new table: the folder or `s3://` URL of its files. Default: the catalog's choice. */
  readonly location?: string;
  /** For a new table: its properties, such as `"write.parquet.compression-codec"`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Size at which a data file is closed. Default: the table's property, else 128 MiB. */
  readonly targetFileBytes?: number;
}

const text = z.string().min(1);

const OPTIONS_OBJECT = z.strictObject({
  table: text,
  catalog: CATALOG_OPTIONS.optional(),
  partitionBy: z.array(text).min(1).optional(),
  location: text.optional(),
  properties: z.record(text, z.string()).optional(),
  targetFileBytes: z.int().min(1024).optional(),
});

export type ParsedOptions = z.output<typeof OPTIONS_OBJECT>;

export const OPTIONS = OPTIONS_OBJECT as OptionsSchema<IcebergOptions, ParsedOptions>;
