import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where the kit's sources lie, and where it is set up. */

export const PROJECT: string = fileURLToPath(new URL("../../../", import.meta.url));
export const SOURCES: string = join(PROJECT, "test/localstack");
export const HOME: string = join(PROJECT, ".cache/localstack");
export const RESULTS: string = join(PROJECT, ".cache/vitest-localstack.json");
export const LOG: string = join(HOME, "localstack.log");
export const PYTHON: string = join(HOME, "python/bin/python");
/** What LocalStack would else download at run time, in the folders it looks into. */
export const LIBRARIES: string = join(HOME, "lib");
