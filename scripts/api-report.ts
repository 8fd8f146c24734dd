import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  Extractor,
  ExtractorConfig,
  ExtractorLogLevel,
  type ExtractorMessage,
} from "@microsoft/api-extractor";

/**
 * Compares the public API with the reports in docs/api, so that a review shows each change of it.
 * `--update` rewrites the reports.
 */

const update = process.argv.includes("--update");
const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
  exports: Record<string, { types: string } | string>;
};
/** Types that the main entry point uses, and that `millrace/write` exports. */
const exportedByWrite = readFileSync("dist/shared/contract/write/index.d.ts", "utf8");
let failed = false;

mkdirSync("docs/api", { recursive: true });
for (const [name, target] of Object.entries(exports)) {
  // `millrace/arrow` has all names of apache-arrow, which would fill the report.
  if (typeof target === "string" || name === "./arrow") continue;
  const report = `${name === "." ? "millrace" : name.slice(2).replaceAll("/", "-")}.api.md`;
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: resolve("."),
      mainEntryPointFilePath: resolve(target.types),
      compiler: {
        tsconfigFilePath: resolve("tsconfig.json"),
        overrideTsconfig: {
          // Without this list, the extractor would also read the sources.
          files: [resolve(target.types)],
          compilerOptions: { module: "nodenext", target: "es2024", skipLibCheck: true, types: ["node"] },
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: report,
        reportFolder: resolve("docs/api"),
        reportTempFolder: resolve(".cache/api"),
        includeForgottenExports: false,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: "lf",
      messages: {
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          // The package has no release tags, because every export is public.
          "ae-missing-release-tag": { logLevel: ExtractorLogLevel.None },
          // Connectors use types of the main entry point, which they do not export again.
          ...(name === "." ? {} : { "ae-forgotten-export": { logLevel: ExtractorLogLevel.None } }),
        },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve("package.json"),
  });
  if (!existsSync(config.reportFilePath) && !update) {
    failed = true;
    console.error(`docs/api/${report} is missing: npm run api:update writes it`);
    continue;
  }
  const result = Extractor.invoke(config, {
    localBuild: update,
    showVerboseMessages: false,
    messageCallback: quiet,
  });
  if (!result.succeeded) {
    failed = true;
    console.error(
      `docs/api/${report} does not match the public API: look at the change, then npm run api:update`,
    );
  }
}
process.exitCode = failed ? 1 : 0;

/**
 * Hides the extractor's note about the version of TypeScript that it contains, and types that
 * `millrace/write` exports.
 */
function quiet(message: ExtractorMessage): void {
  if (["console-preamble", "console-compiler-version-notice"].includes(message.messageId))
    message.handled = true;
  const [, symbol] = /^The symbol "(\w+)" needs to be exported/.exec(message.text) ?? [];
  if (symbol !== undefined && new RegExp(`\\b${symbol}\\b`).test(exportedByWrite))
    message.logLevel = ExtractorLogLevel.None;
}
