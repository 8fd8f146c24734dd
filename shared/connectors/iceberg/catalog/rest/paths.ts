import type { TableIdentifier } from "../catalog.ts";

/** How the paths of a catalog begin, and how they join the levels of a namespace. */
export interface PathStyle {
  /** Empty if there is none. */
  readonly prefix: string;
  /** URL-encoded. */
  readonly separator: string;
}

/** The unit separator, as the specification demands. */
export const DEFAULT_SEPARATOR = "%1F";

const ENCODED = /%[0-9A-Fa-f]{2}/;

/**
 * Encodes a prefix of a path, which may have several segments. One that is encoded already, as that
 * of S3 Tables, is not encoded again.
 */
export function encodePrefix(prefix: string): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, "");
  return ENCODED.test(trimmed) ? trimmed : trimmed.split("/").map(encodeURIComponent).join("/");
}

/** The paths of a catalog's resources, relative to its URI. */
export class RestPaths {
  readonly #root: string;
  readonly #separator: string;

  constructor({ prefix, separator }: PathStyle) {
    this.#root = prefix === "" ? "/v1" : `/v1/${encodePrefix(prefix)}`;
    this.#separator = separator;
  }

  namespaces(): string {
    return `${this.#root}/namespaces`;
  }

  namespace(levels: readonly string[]): string {
    return `${this.namespaces()}/${levels.map(encodeURIComponent).join(this.#separator)}`;
  }

  tables(levels: readonly string[]): string {
    return `${this.namespace(levels)}/tables`;
  }

  table({ namespace, name }: TableIdentifier): string {
    return `${this.tables(namespace)}/${encodeURIComponent(name)}`;
  }
}
