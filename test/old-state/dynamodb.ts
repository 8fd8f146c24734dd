import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AttributeValue,
  CreateTableCommand,
  PutItemCommand,
  paginateScan,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { dynamodb, newLedger } from "../localstack/clients.ts";
import type { Place } from "./writing.ts";

export type Item = Record<string, AttributeValue>;

/** The tables of one pipeline: its ledger's and its sink's. */
export interface Tables {
  readonly ledger: string;
  readonly sink: string;
  readonly place: Place;
}

/** Creates tables for the pipeline of a project. */
export async function newTables(folder: string, life: string): Promise<Tables> {
  const { ledger, tableName } = await newLedger();
  const sink = `numbers-${randomUUID()}`;
  await dynamodb.send(
    new CreateTableCommand({
      TableName: sink,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "n", AttributeType: "N" }],
      KeySchema: [{ AttributeName: "n", KeyType: "HASH" }],
    }),
  );
  await waitUntilTableExists({ client: dynamodb, maxWaitTime: 30 }, { TableName: sink });
  // The pipeline's file reads the name of the table when it is loaded.
  process.env["OLD_TABLE"] = sink;
  return { ledger: tableName, sink, place: { folder, ledger, store: join(folder, "store"), life } };
}

/** Returns the items of a table, sorted by their keys. */
export async function itemsOf(table: string): Promise<Item[]> {
  const scan = paginateScan({ client: dynamodb }, { TableName: table, ConsistentRead: true });
  const pages = await Array.fromAsync(scan);
  const key = ({ pk, sk, n }: Item) => `${pk?.S} ${sk?.S} ${n?.N?.padStart(6, "0")}`;
  return pages.flatMap(({ Items = [] }) => Items).sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Puts the items of a file, which has one item per line, into a table. */
export async function putItems(table: string, file: string): Promise<void> {
  for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean))
    await dynamodb.send(new PutItemCommand({ TableName: table, Item: JSON.parse(line) as Item }));
}
