import { spawnSync } from "node:child_process";
import { MillraceError } from "../shared/contract/errors.ts";
import type { DescriptionAnswer, PipelineDescription } from "../shared/contract/pipeline-description.ts";
import { modulePath } from "./package-paths.ts";

const TIMEOUT_MILLISECONDS = 60_000;

/**
 * Loads the pipeline of `entry` in a separate process and returns its description. Errors: those of
 * loading it, such as `PIPELINE_FILE_FAILED`.
 */
export function describePipeline(
  entry: string,
  environment: Readonly<Record<string, string>>,
): PipelineDescription {
  const { stdout, status, error } = spawnSync(
    process.execPath,
    [modulePath("../local/describe-pipeline"), entry],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...environment },
      timeout: TIMEOUT_MILLISECONDS,
    },
  );
  const answer = parse(stdout);
  if (answer !== undefined && "name" in answer) return answer;
  const {
    code = "PIPELINE_FILE_FAILED",
    message,
    hint,
    cause,
  } = answer?.error ?? {
    message: `${entry} cannot be loaded: ${error?.message ?? `Node ended with status ${status}`}`,
  };
  throw MillraceError.from({
    code,
    message: cause === undefined ? message : `${message}\n${cause}`,
    where: { path: entry },
    hint:
      hint ??
      "Set the construct's pipelineName where the file cannot be loaded while the app is synthesized.",
  });
}

function parse(text: string): DescriptionAnswer | undefined {
  try {
    return JSON.parse(text) as DescriptionAnswer;
  } catch {
    return undefined;
  }
}
