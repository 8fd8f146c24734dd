import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Home, runtime } from "../../local/home.ts";
import { RunLog, secretsOf } from "../../local/run-log.ts";
import { run } from "../../local/runner.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { Pipeline } from "../../shared/contract/pipeline.ts";
import { checkTrigger, type Trigger, triggerOf } from "../../shared/contract/trigger.ts";
import { type Definition, loadDefinition } from "../definitions.ts";
import { EXIT } from "../exit-codes.ts";
import { FailureHooks } from "../failure-hooks.ts";
import { isWebhook } from "../flags.ts";
import { Interruption } from "../interruption.ts";
import { processGuard } from "../process-guard.ts";
import { type RunView, viewOf } from "../render/run-view.ts";
import { reserveStdout } from "../render/terminal.ts";
import { openStack, type TargetFlags } from "../targets/open.ts";
import { findOnlyPipeline } from "../targets/target.ts";

/** The flags of a local run. */
export interface LocalRunFlags {
  readonly home: string;
  readonly maxConcurrency?: number;
  readonly maxAttempts: number;
  readonly speculate?: boolean;
  readonly stallAfter?: string;
  readonly failStalled?: boolean;
  readonly json?: boolean;
  /** True for a run that sends the quarantined rows again. */
  readonly retriesQuarantine?: boolean;
  /** False with `--no-log`. */
  readonly log?: boolean;
  readonly onFailure?: string;
  readonly onFailureUrl?: string;
}

interface RunFlags extends LocalRunFlags, TargetFlags {
  readonly once?: boolean;
  readonly availableNow?: boolean;
  readonly every?: string;
}

/** `millrace run`: runs a pipeline locally or in a stack. Returns the exit code. */
export async function runCommand(pipeline: string | undefined, flags: RunFlags): Promise<number> {
  const asked = askedTrigger(flags);
  const stack = await openStack(flags);
  if (stack !== undefined) {
    const found = await findOnlyPipeline(stack, pipeline);
    const trigger =
      asked === undefined ? {} : ({ trigger: "once" in asked ? "once" : "availableNow" } as const);
    const { runDeployed } = await import("../deployed/run.ts");
    return await runDeployed(stack, found, { reason: "run", ...trigger }, flags);
  }
  if (pipeline === undefined) {
    throw new MillraceError("USAGE", "missing required argument: the pipeline's file, or its name", {
      hint: "millrace run pipeline.ts, or for one that is deployed: millrace run --stack NAME",
    });
  }
  return await runLocally(() => loadDefinition(new Home(flags.home), pipeline), asked, flags);
}

/** Runs a pipeline locally. Returns the exit code. */
export async function runLocally(
  load: () => Promise<Definition>,
  trigger: Trigger | undefined,
  flags: LocalRunFlags,
): Promise<number> {
  const home = new Home(flags.home);
  const view = viewOf(flags);
  const hooks = hooksOf(home, flags, view);
  const interruption = new Interruption("stopping: tasks are told to end; once more to leave at once");
  const restoreStdout = reserveStdout();
  let log: RunLog | undefined;
  try {
    const { pipeline, entry } = await load();
    hooks.pipeline = pipeline.name;
    log = openLog(home, pipeline, flags, view);
    await run({
      pipeline,
      entry: resolve(entry),
      home,
      trigger: triggerOf(pipeline, trigger),
      maxConcurrency: flags.maxConcurrency ?? availableParallelism(),
      maxAttempts: flags.maxAttempts,
      ...(flags.speculate === true ? { speculation: {} } : {}),
      stall: {
        ...(flags.stallAfter === undefined ? {} : { after: flags.stallAfter }),
        ...(flags.failStalled === undefined ? {} : { fail: flags.failStalled }),
      },
      retriesQuarantine: flags.retriesQuarantine === true,
      signal: interruption.signal,
      crash: processGuard.signal,
      onEvent(event) {
        view.show(event);
        log?.event(event);
        hooks.event(event);
      },
    });
    await hooks.end();
    return interruption.exitCode ?? EXIT.ok;
  } catch (error) {
    log?.error(error);
    await hooks.failed(error);
    throw error;
  } finally {
    interruption.end();
    restoreStdout();
  }
}

function hooksOf(home: Home, flags: LocalRunFlags, view: RunView): FailureHooks {
  const { MILLRACE_ON_FAILURE: command, MILLRACE_ON_FAILURE_URL: url } = runtime.env;
  if (url !== undefined && !isWebhook(url)) {
    throw new MillraceError("USAGE", "the environment variable MILLRACE_ON_FAILURE_URL is no URL", {
      hint: "Set it to one that begins with https:// or http://, or unset it.",
    });
  }
  return new FailureHooks({
    home,
    command: flags.onFailure ?? command,
    url: flags.onFailureUrl ?? url,
    onWarning: (error) => view.show({ type: "warning", error: error.toRecord() }),
  });
}

/** Returns the log of the run, or `undefined` if it is turned off. */
function openLog(home: Home, pipeline: Pipeline, flags: LocalRunFlags, view: RunView): RunLog | undefined {
  if (flags.log === false || runtime.env["MILLRACE_LOG"] === "off") return undefined;
  return new RunLog({
    path: home.logPath(pipeline.name),
    secrets: secretsOf(pipeline, runtime.env),
    now: runtime.now,
    onFailed: (error) => view.show({ type: "warning", error: error.toRecord() }),
  });
}

function askedTrigger(flags: RunFlags): Trigger | undefined {
  const asked: Trigger[] = [];
  if (flags.once) asked.push({ once: true });
  if (flags.availableNow) asked.push({ availableNow: true });
  if (flags.every !== undefined) asked.push(checkTrigger({ processingTime: flags.every }));
  if (asked.length <= 1) return asked[0];
  throw new MillraceError("USAGE", "--once, --available-now and --every exclude each other", {
    hint: "Give one of them.",
  });
}
