import type { DataSourceClass } from "../../shared/contract/data-source.ts";
import type { Options } from "./sources/log.ts";
import { Simple } from "./sources/simple.ts";
import { Src } from "./sources/src.ts";
import { Adm, AdmAN, AN, Back, Bad, EmptyParts, EmptyRows, OldSig } from "./sources/variants.ts";
import type { Args } from "./trace.ts";

/**
 * The recorded readers and writers, ported from the oracle's sources.py: the same names, options,
 * fault points and messages. They log in the oracle's own form, one JSON line a call, to a file
 * that threads and processes share.
 */

/** The recorded classes whose kind is built, by the name that the trace has for them. */
export const SOURCES: ReadonlyMap<string, DataSourceClass<Options>> = new Map(
  [Src, EmptyParts, EmptyRows, Back, AN, Bad, OldSig, Adm, AdmAN, Simple].map((source) => [
    source.name,
    source,
  ]),
);

/** The recorded classes whose kind is not built yet, and what they need. */
export const NOT_BUILT: ReadonlyMap<string, string> = new Map([["TsSrc", "stateful queries"]]);

/** Options of the class `Bad` that select what is ported; its others are not in sources.py. */
export function isKnownBad(ropts: Args): boolean {
  return ropts["badoff"] === "key_order" && ropts["bad"] === "arrow_ok";
}
