import type { ServerResponse } from "node:http";
import type { TableCommit } from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseJson, stringifyJson } from "../../../../shared/connectors/iceberg/format/json.ts";
import { newMetadata } from "../../../../shared/connectors/iceberg/format/metadata.ts";
import type {
  IcebergSchema,
  PartitionSpec,
  TableMetadata,
} from "../../../../shared/connectors/iceberg/format/types.ts";
import { applyCommit } from "../../../../shared/connectors/iceberg/format/updates.ts";
import { MillraceError } from "../../../../shared/contract/errors.ts";
import { type Asked, type Reply, serve } from "../../../support/api-server.ts";

/**
 * The fault of a request: an answer in its place, an answer after it took effect, or a connection
 * that is cut before or after it takes effect, or hangs.
 */
export type Fault = Reply | { readonly after: Reply } | "cut before" | "cut after" | "hang" | undefined;

export interface ServerOptions {
  /** `count` is the number of the request, from 1. */
  readonly fault?: (asked: Asked, count: number) => Fault;
  readonly config?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** True if new tables get none of the properties that the request has. */
  readonly dropsProperties?: boolean;
  /** Further fields of the answer to a load. */
  readonly loading?: (table: TableMetadata, asked: Asked) => Readonly<Record<string, unknown>>;
}

export interface RestServer {
  readonly uri: string;
  readonly asked: readonly Asked[];
  readonly tables: ReadonlyMap<string, TableMetadata>;
  /** The paths of the requests so far, with their methods. */
  paths(): readonly string[];
}

interface CreateRequest {
  readonly name: string;
  readonly schema: IcebergSchema;
  readonly "partition-spec": PartitionSpec;
  readonly properties: Readonly<Record<string, string>>;
  readonly location?: string;
}

/** Starts a REST catalog in this process. It ends with the test. */
export async function serveCatalog(options: ServerOptions = {}): Promise<RestServer> {
  const catalog = new Catalog(options);
  const api = await serve((asked, count, response) => faulty(catalog, options, asked, count, response));
  return {
    uri: api.url.replace("/items", "/catalog"),
    asked: api.asked,
    tables: catalog.tables,
    paths: () => api.asked.map(({ method, url }) => `${method} ${url.pathname}${url.search}`),
  };
}

function faulty(
  catalog: Catalog,
  { fault }: ServerOptions,
  asked: Asked,
  count: number,
  response: ServerResponse,
): Reply | undefined {
  const what = fault?.(asked, count);
  if (what === "hang") return undefined;
  if (what === "cut before") return void response.destroy();
  if (typeof what === "object" && !("after" in what)) return what;
  const reply = catalog.answer(asked);
  if (what === "cut after") return void response.destroy();
  return what === undefined ? reply : what.after;
}

class Catalog {
  readonly tables = new Map<string, TableMetadata>();
  readonly #namespaces = new Set<string>();
  readonly #options: ServerOptions;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  answer(asked: Asked): Reply {
    const path = asked.url.pathname.replace("/catalog/v1/", "");
    if (path === "config") return { json: { defaults: {}, overrides: {}, ...this.#options.config } };
    const [, namespace = "", rest = ""] = /(?:^|\/)namespaces(?:\/([^/]+))?(.*)$/.exec(path) ?? [];
    if (rest === "") return asked.method === "GET" ? this.#namespace(namespace) : this.#create(asked);
    const name = /^\/tables\/([^/]+)$/.exec(rest)?.[1];
    if (name === undefined) return this.#createTable(namespace, asked);
    const key = `${namespace}/${name}`;
    return asked.method === "GET" ? this.#load(key, asked) : this.#commit(key, asked);
  }

  #namespace(levels: string): Reply {
    return this.#namespaces.has(levels) ? { json: {} } : problem(404, "NoSuchNamespaceException");
  }

  #create({ body }: Asked): Reply {
    const { namespace } = JSON.parse(body) as { namespace: string[] };
    const levels = namespace.map(encodeURIComponent).join("%1F");
    if (this.#namespaces.has(levels)) return problem(409, "AlreadyExistsException");
    this.#namespaces.add(levels);
    return { json: {} };
  }

  #createTable(namespace: string, asked: Asked): Reply {
    const request = parseJson(asked.body) as CreateRequest;
    const key = `${namespace}/${encodeURIComponent(request.name)}`;
    if (!this.#namespaces.has(namespace)) return problem(404, "NoSuchNamespaceException");
    if (this.tables.has(key)) return problem(409, "AlreadyExistsException");
    const { "format-version": _, ...properties } = request.properties;
    const table = newMetadata({
      uuid: crypto.randomUUID(),
      location: request.location ?? `s3://lake/${decodeURIComponent(key)}`,
      schema: request.schema,
      partitionFields: request["partition-spec"].fields,
      properties: this.#options.dropsProperties === true ? {} : properties,
      now: Date.now(),
    });
    this.tables.set(key, table);
    return this.#load(key, asked);
  }

  #load(key: string, asked: Asked): Reply {
    const metadata = this.tables.get(key);
    if (metadata === undefined) return problem(404, "NoSuchTableException");
    const more = this.#options.loading?.(metadata, asked);
    return { text: stringifyJson({ "metadata-location": `${metadata.location}/v1`, metadata, ...more }) };
  }

  #commit(key: string, asked: Asked): Reply {
    const metadata = this.tables.get(key);
    if (metadata === undefined) return problem(404, "NoSuchTableException");
    try {
      const commit = parseJson(asked.body) as TableCommit;
      const applied = applyCommit(metadata, undefined, exact(commit), Date.now());
      if ("conflict" in applied) return problem(409, "CommitFailedException", applied.conflict);
      this.tables.set(key, applied.metadata);
      return this.#load(key, asked);
    } catch (error) {
      if (!MillraceError.is(error)) throw error;
      return problem(400, "BadRequestException", "Snapshot already exists for id 7");
    }
  }
}

/** Makes bigints of the snapshot ids, which are numbers in JSON if they are small. */
function exact(value: unknown, key = ""): never {
  const fix = (item: unknown, name: string): unknown => {
    if (typeof item === "number" && /^(?:parent-)?snapshot-id$/.test(name)) return BigInt(item);
    if (Array.isArray(item)) return item.map((each) => fix(each, ""));
    if (typeof item !== "object" || item === null) return item;
    return Object.fromEntries(Object.entries(item).map(([each, inner]) => [each, fix(inner, each)]));
  };
  return fix(value, key) as never;
}

/** The answer of Iceberg's own servers to a request that they refuse. */
export function problem(code: number, type: string, message = `${type} of a test`): Reply {
  return { status: code, json: { error: { message, type, code } } };
}
