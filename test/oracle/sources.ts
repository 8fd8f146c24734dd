import type { DataSourceClass } from "../../shared/contract/data-source.ts";
import type { Options } from "./sources/log.ts";
import { Simple } from "./sources/simple.ts";
import { Src } from "./sources/src.ts";
import { Adm, AdmAN, AN, Back, Bad, EmptyParts, EmptyRows, OldSig } from "./sources/variants.ts";
import type { Args } from "./trace.ts";

/**
 * The readers and writers of the recordings, ported from the oracle's sources.py with the same
 * names, options, fault points and messages. They log in the oracle's form, one JSON line per call,
 * to a file that threads and processes share.
 */

/** The recorded classes that Millrace supports, by their name in the trace. */
export const SOURCES: ReadonlyMap<string, DataSourceClass<Options>> = new Map(
  [Src, EmptyParts, EmptyRows, Back, AN, Bad, OldSig, Adm, AdmAN, Simple].map((source) => [
    source.name,
    source,
  ]),
);

/** The recorded classes that Millrace does not support yet, and the features that they need. */
export const NOT_BUILT: ReadonlyMap<string, string> = new Map([["TsSrc", "stateful queries"]]);

/**
 * Returns true if the options select the only variant of the class `Bad` that is ported. sources.py
 * does not have this class, so other variants cannot be ported.
 */
export function isKnownBad(ropts: Args): boolean {
  return ropts["badoff"] === "key_order" && ropts["bad"] === "arrow_ok";
}
