import { MillraceError } from "../../../../contract/errors.ts";
import { isPlainObject } from "../../../../contract/json.ts";
import type { StoreAccess } from "../../../../contract/object-store.ts";
import { stringifyJson } from "../../format/json.ts";
import { parseMetadata } from "../../format/metadata.ts";
import type {
  CatalogOutcome,
  IcebergCatalog,
  LoadedTable,
  NewTable,
  TableCommit,
  TableIdentifier,
} from "../catalog.ts";
import { nameTaken, tableGone } from "../errors.ts";
import { tableNameOf } from "../identifier.ts";
import { jsonOf, problemOf, type RestAnswer, saysMissing } from "./answer.ts";
import type { RestHttp, RestRequest } from "./http.ts";
import { DEFAULT_SEPARATOR, RestPaths } from "./paths.ts";
import { vendedAccess } from "./vended.ts";

interface RestCatalogParts {
  readonly description: string;
  readonly http: RestHttp;
  readonly warehouse?: string | undefined;
  /** Overrides the prefix that the catalog has as a default. */
  readonly prefix?: string | undefined;
  /** The folder of new tables, if the catalog does not choose one. */
  readonly folder?: string;
}

/** A catalog with the REST interface of Iceberg's specification. */
export class RestCatalog implements IcebergCatalog {
  readonly description: string;
  readonly #parts: RestCatalogParts;
  readonly #http: RestHttp;
  #paths: Promise<RestPaths> | undefined;

  constructor(parts: RestCatalogParts) {
    this.description = parts.description;
    this.#parts = parts;
    this.#http = parts.http;
  }

  async loadTable(table: TableIdentifier): Promise<LoadedTable | undefined> {
    const path = (await this.#configured()).table(table);
    const answer = await this.#http.ask("GET", path);
    if (saysMissing(answer)) return undefined;
    return this.#loaded(table, { method: "GET", path, isRepeatable: true }, answer);
  }

  async createTable(table: TableIdentifier, spec: NewTable): Promise<LoadedTable> {
    const known = await this.loadTable(table);
    if (known !== undefined) return known;
    await this.#createNamespace(table.namespace);
    const path = (await this.#configured()).tables(table.namespace);
    const location = spec.location ?? this.#newLocation(table);
    const body = stringifyJson({
      name: table.name,
      ...(location === undefined ? {} : { location }),
      schema: spec.schema,
      "partition-spec": { "spec-id": 0, fields: spec.partitionFields },
      "stage-create": false,
      properties: { "format-version": "2", ...spec.properties },
    });
    // A second request of a creation that took effect finds the table, so it may be repeated.
    const answer = await this.#http.ask("POST", path, body);
    if (answer.status !== 409) {
      const made = this.#loaded(table, { method: "POST", path, isRepeatable: true }, answer);
      return await this.#withProperties(table, made, spec.properties);
    }
    const found = await this.loadTable(table);
    if (found === undefined) throw nameTaken(table, this.description);
    return found;
  }

  /** Sets the properties that the catalog has left out of a new table. */
  async #withProperties(
    table: TableIdentifier,
    made: LoadedTable,
    properties: NewTable["properties"],
  ): Promise<LoadedTable> {
    const { metadata } = made;
    const missing = Object.entries(properties).filter(([key, value]) => metadata.properties[key] !== value);
    if (missing.length === 0) return made;
    await this.commitTable(table, made, {
      requirements: [{ type: "assert-table-uuid", uuid: metadata["table-uuid"] }],
      updates: [{ action: "set-properties", updates: Object.fromEntries(missing) }],
    });
    return (await this.loadTable(table)) ?? made;
  }

  async commitTable(
    table: TableIdentifier,
    _base: LoadedTable,
    commit: TableCommit,
  ): Promise<CatalogOutcome> {
    const request: RestRequest = {
      method: "POST",
      path: (await this.#configured()).table(table),
      body: stringifyJson({
        identifier: { namespace: table.namespace, name: table.name },
        requirements: commit.requirements,
        updates: commit.updates,
      }),
      isRepeatable: false,
    };
    const answer = await this.#http.send(request);
    if ("unanswered" in answer) return { outcome: "unknown", cause: answer.unanswered };
    const { status } = answer;
    const failed = this.#http.failed(request, answer);
    if (status >= 200 && status <= 299)
      return isPlainObject(jsonOf(answer)) ? { outcome: "committed" } : { outcome: "unknown", cause: failed };
    const { message } = problemOf(answer);
    if (status === 409) return { outcome: "conflict", reason: failed.message };
    if (status === 400 && /already exists/i.test(message)) return { outcome: "unknown", cause: failed };
    // Some catalogs check this before the requirements: the table has a newer snapshot.
    if (status === 400 && /sequence number/i.test(message))
      return { outcome: "conflict", reason: failed.message };
    if (saysMissing(answer)) throw tableGone(table, this.description);
    throw failed;
  }

  async close(): Promise<void> {
    // `fetch` closes idle connections itself.
  }

  #newLocation({ namespace, name }: TableIdentifier): string | undefined {
    const { folder } = this.#parts;
    return folder === undefined ? undefined : [folder, ...namespace, name].join("/");
  }

  /** Creates the levels of a namespace that do not exist. */
  async #createNamespace(levels: readonly string[]): Promise<void> {
    const paths = await this.#configured();
    for (let depth = 1; depth <= levels.length; depth++) {
      const namespace = levels.slice(0, depth);
      const known = await this.#http.ask("GET", paths.namespace(namespace));
      if (known.status === 200) continue;
      if (!saysMissing(known))
        throw this.#http.failed(
          { method: "GET", path: paths.namespace(namespace), isRepeatable: true },
          known,
        );
      const path = paths.namespaces();
      const body = stringifyJson({ namespace, properties: {} });
      const { status, ...answer } = await this.#http.ask("POST", path, body);
      if ((status >= 200 && status <= 299) || status === 409) continue;
      throw this.#http.failed({ method: "POST", path, isRepeatable: true }, { status, ...answer });
    }
  }

  #loaded(table: TableIdentifier, request: RestRequest, answer: RestAnswer): LoadedTable {
    const body = jsonOf(answer);
    if (answer.status < 200 || answer.status > 299) throw this.#http.failed(request, answer);
    if (!isPlainObject(body) || body["metadata"] === undefined) throw notJson(request, answer);
    const location = body["metadata-location"];
    const where = typeof location === "string" ? location : request.path;
    const metadata = parseMetadata(body["metadata"], where);
    const access = vendedAccess(body, metadata.location);
    return {
      metadata,
      ...(typeof location === "string" ? { metadataLocation: location } : {}),
      ...(access === undefined ? {} : { access: this.#refreshing(table, access) }),
    };
  }

  /** Vended credentials end. Later ones come with another load of the table. */
  #refreshing(table: TableIdentifier, access: StoreAccess): StoreAccess {
    const refresh = async (): Promise<StoreAccess> => {
      const later = (await this.loadTable(table))?.access;
      if (later !== undefined) return later;
      throw new MillraceError(
        "CATALOG_DENIED",
        `the ${this.description} vends no credentials for ${tableNameOf(table)} any more`,
        { hint: "Check the rights of the user or role, then `millrace run` again." },
      );
    };
    return { ...access, refresh };
  }

  /** Reads the configuration of the catalog, once. */
  async #configured(): Promise<RestPaths> {
    this.#paths ??= this.#configure().catch((error: unknown) => {
      this.#paths = undefined;
      throw error;
    });
    return await this.#paths;
  }

  async #configure(): Promise<RestPaths> {
    const { warehouse, prefix } = this.#parts;
    const path =
      warehouse === undefined ? "/v1/config" : `/v1/config?warehouse=${encodeURIComponent(warehouse)}`;
    const request: RestRequest = { method: "GET", path, isRepeatable: true };
    const answer = await this.#http.ask("GET", path);
    if (answer.status !== 200) throw this.#http.failed(request, answer);
    const body = jsonOf(answer);
    if (!isPlainObject(body)) throw notJson(request, answer);
    const defaults = textsOf(body["defaults"]);
    const overrides = textsOf(body["overrides"]);
    const own: Record<string, string> = prefix === undefined ? {} : { prefix };
    const all: Readonly<Record<string, string>> = { ...defaults, ...own, ...overrides };
    this.#http.configure(overrides["uri"], headersOf(all));
    return new RestPaths({
      prefix: all["prefix"] ?? "",
      separator: all["namespace-separator"] ?? DEFAULT_SEPARATOR,
    });
  }
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isPlainObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, text]) => (text === null ? [] : [[key, String(text)]])),
  );
}

/** A property `header.NAME` is a header of every request. */
function headersOf(config: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      key.startsWith("header.") ? [[key.slice("header.".length).toLowerCase(), value]] : [],
    ),
  );
}

function notJson({ method, path }: RestRequest, answer: RestAnswer): MillraceError {
  return new MillraceError(
    "CATALOG_FAILED",
    `the catalog answered ${answer.status} to ${method} ${path} with a body that is not a catalog's: ${problemOf(answer).message}`,
    {
      where: { status: answer.status },
      hint: "Check the uri of the option catalog: it is the address without /v1. Then `millrace run` again.",
    },
  );
}
