import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folders of the kit's sources and of its installation. */

export const PROJECT: string = fileURLToPath(new URL("../../../", import.meta.url));
export const SOURCES: string = join(PROJECT, "test/localstack");
export const HOME: string = join(PROJECT, ".cache/localstack");
export const RESULTS: string = join(PROJECT, ".cache/vitest-localstack.json");
export const LOG: string = join(HOME, "localstack.log");
export const PYTHON: string = join(HOME, "python/bin/python");
/**
 * Folder of the files that LocalStack would otherwise download at run time. They are in the
 * subfolders in which LocalStack looks for them.
 */
export const LIBRARIES: string = join(HOME, "lib");
