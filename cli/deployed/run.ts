import { SFNClient } from "@aws-sdk/client-sfn";
import { runtime } from "../../local/home.ts";
import { requestLimits } from "../../shared/aws/request-limits.ts";
import type { ExecutionInput } from "../../shared/aws/state.ts";
import { pipelineOfBackfill } from "../../shared/contract/backfill.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { recordedAbortError } from "../../shared/engine/run/loop.ts";
import { EXIT } from "../exit-codes.ts";
import { Interruption } from "../interruption.ts";
import { viewOf } from "../render/run-view.ts";
import { tellLine } from "../render/terminal.ts";
import type { StackTarget } from "../targets/deployed.ts";
import type { TargetPipeline } from "../targets/target.ts";
import { canDescribe, describeExecution, type ExecutionState, startExecution } from "./execution.ts";
import { type Followed, Follower } from "./follow.ts";

/**
 * An Express execution must acquire the pipeline's lease within this time, or it counts as failed.
 */
const START_MILLISECONDS = 60_000;

/**
 * Starts an execution of a deployed pipeline and follows it until it ends. Returns the exit code.
 * Errors: that of the batch, `EXECUTION_FAILED`, `AWS_FAILED`.
 */
export async function runDeployed(
  stack: StackTarget,
  found: TargetPipeline,
  asked: ExecutionInput,
  flags: { readonly json?: boolean },
): Promise<number> {
  const { name, ledger } = found;
  const input = inputFor(name, asked);
  const client = new SFNClient({ requestHandler: requestLimits() });
  const view = viewOf(flags);
  const onEvent = view.show.bind(view);
  const follower = await Follower.begin({ ledger, pipeline: name, runtime, onEvent });
  const execution = await startExecution(client, stack.deployed(name).stateMachineArn, input);
  const interruption = new Interruption(`no longer following; the execution goes on: ${execution}`);
  try {
    const trigger = input.trigger ?? "deployed";
    onEvent({ type: "started", pipeline: name, trigger, stack: stack.name, execution });
    const chain = new ExecutionChain(client, execution);
    const observe = canDescribe(execution) ? () => chain.observe() : observeLease(found, follower.epoch);
    const followed = await follower.follow(observe, interruption.signal);
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throwFailure(name, chain.execution, followed);
    if (followed.state.isContinued) tellLine("another execution goes on: see `millrace status`");
    return EXIT.ok;
  } finally {
    interruption.end();
  }
}

/** An execution of a backfill is told its name, and goes on to the end of its range. */
function inputFor(name: string, input: ExecutionInput): ExecutionInput {
  if (pipelineOfBackfill(name) === undefined) return input;
  return { ...input, trigger: input.trigger ?? "availableNow", backfill: name };
}

/**
 * Observes an execution. If another execution continues its work, observes that one from then on.
 */
class ExecutionChain {
  /** ARN of the current execution. */
  execution: string;
  readonly #client: SFNClient;

  constructor(client: SFNClient, execution: string) {
    this.#client = client;
    this.execution = execution;
  }

  async observe(): Promise<ExecutionState> {
    const state = await describeExecution(this.#client, this.execution);
    if (state.continuedBy === undefined) return state;
    this.execution = state.continuedBy;
    tellLine(`goes on in ${this.execution}`);
    return { status: "running" };
  }
}

/**
 * Returns a function that observes an Express execution. Such an execution cannot be described, but
 * it is running while it holds the lease that it acquired after `epoch`.
 */
function observeLease({ name, ledger }: TargetPipeline, epoch: number): () => Promise<ExecutionState> {
  const startedAt = runtime.monotonic();
  let known: { readonly expiresAt: number; readonly deadline: number } | undefined;
  return async () => {
    const head = await ledger.head(name);
    const now = runtime.monotonic();
    if (head === undefined || head.epoch <= epoch) {
      if (now - startedAt < START_MILLISECONDS) return { status: "running" };
      return { status: "failed", problem: "it never took the pipeline's lease" };
    }
    if (head.lease === undefined) return { status: "succeeded" };
    const { expiresAt } = head.lease;
    // The system clock is read once per lease, so that a later correction of it does not matter.
    if (known?.expiresAt !== expiresAt) known = { expiresAt, deadline: now + expiresAt - runtime.now() };
    if (now < known.deadline) return { status: "running" };
    return { status: "failed", problem: "it never gave the pipeline's lease back" };
  };
}

function throwFailure(pipeline: string, execution: string, { state, open }: Followed): void {
  if (open?.state === "aborted") throw recordedAbortError(open);
  if (state.isRefused) {
    throw new MillraceError("LEASE_HELD", `another run has pipeline "${pipeline}"`, {
      where: { pipeline },
      hint: "See `millrace status` which; wait until it has ended, or stop it.",
    });
  }
  if (state.status !== "failed") return;
  const left =
    open === undefined ? "" : ` Batch ${open.batchId} is open (${open.state}): the next run goes on with it.`;
  throw new MillraceError("EXECUTION_FAILED", `the execution failed: ${state.problem}`, {
    where: { pipeline, path: execution },
    hint: `See the execution in the console of Step Functions, and the logs of the functions.${left}`,
  });
}
