import type { Schema } from "apache-arrow";

/** An Arrow schema, or Spark DDL for one: `"id string NOT NULL, time timestamp, mag double"`. */
export type SchemaLike = Schema | string;
