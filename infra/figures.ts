import { Duration, Token } from "aws-cdk-lib";
import { POWERTOOLS } from "../shared/aws/names.ts";
import { VARIABLE_PREFIX } from "../shared/aws/settings.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { MicroBatchPipelineProps } from "./props.ts";

/** The checked sizes and limits of a pipeline, with defaults. */
export interface Figures {
  readonly isExpress: boolean;
  readonly writerMemory: number;
  readonly writerTimeout: Duration;
  readonly plannerMemory: number;
  readonly plannerTimeout: Duration;
  readonly timeout: Duration;
  readonly maxConcurrency: number;
  readonly maxAttempts: number;
  /**
   * Number of partitions above which a batch uses a Distributed Map. Infinite for an Express
   * workflow.
   */
  readonly distributeAbove: number;
  /**
   * True if the children of the Distributed Map can be Express executions, which end after five
   * minutes.
   */
  readonly hasExpressChildren: boolean;
  /** Wait before the first retry of a task. It doubles with each retry, up to a minute. */
  readonly retryInterval: Duration;
}

const EXPRESS_SECONDS = 300;
const LAMBDA_SECONDS = 900;
const MAX_RETRY_SECONDS = 60;
/** Margin for clock differences and slow starts. */
const LEASE_MARGIN_SECONDS = 60;

const MAX_STALL_SECONDS = 7 * 86_400;

/** Returns the sizes and limits of a pipeline. Error: `PROPS_INVALID`. */
export function figuresOf(props: MicroBatchPipelineProps): Figures {
  const isExpress = props.workflow === "express";
  const figures = {
    isExpress,
    writerMemory: props.writerMemory ?? 1024,
    writerTimeout: props.writerTimeout ?? Duration.seconds(isExpress ? 120 : LAMBDA_SECONDS),
    plannerMemory: props.plannerMemory ?? 512,
    plannerTimeout: props.plannerTimeout ?? Duration.seconds(isExpress ? 60 : 300),
    timeout: props.timeout ?? (isExpress ? Duration.seconds(EXPRESS_SECONDS) : Duration.hours(12)),
    maxConcurrency: props.maxConcurrency ?? 500,
    maxAttempts: props.maxAttempts ?? 3,
    distributeAbove: isExpress ? Number.POSITIVE_INFINITY : (props.distributeAbove ?? 200),
    retryInterval: Duration.seconds(2),
  };
  check(props, figures);
  return { ...figures, hasExpressChildren: longestTaskSeconds(figures) < EXPRESS_SECONDS };
}

/**
 * Returns the duration of the lease. It is longer than the execution plus the functions that may
 * still run after the execution has timed out.
 */
export function leaseSeconds({ timeout, writerTimeout, plannerTimeout }: Figures): number {
  const longest = Math.max(writerTimeout.toSeconds(), plannerTimeout.toSeconds());
  return timeout.toSeconds() + longest + LEASE_MARGIN_SECONDS;
}

/** Maximum total wait of eight retries after service errors. */
const SERVICE_RETRY_SECONDS = 121;

/** Returns the maximum duration of all attempts of a task and the waits between them. */
function longestTaskSeconds(figures: CheckedFigures): number {
  const { maxAttempts, writerTimeout, retryInterval } = figures;
  let seconds = maxAttempts * writerTimeout.toSeconds() + SERVICE_RETRY_SECONDS;
  for (let retry = 0; retry < maxAttempts - 1; retry++) {
    seconds += Math.min(MAX_RETRY_SECONDS, retryInterval.toSeconds() * 2 ** retry);
  }
  return seconds;
}

type CheckedFigures = Omit<Figures, "hasExpressChildren">;

function check(props: MicroBatchPipelineProps, figures: CheckedFigures): void {
  checkWholeNumbers(figures);
  checkTimes(figures);
  if (figures.isExpress && props.distributeAbove !== undefined)
    throw invalid("distributeAbove is set", "An Express workflow has no distributed Map: leave it out.");
  checkStalls(props, figures);
  checkNetwork(props);
  checkVariables(props);
}

function checkWholeNumbers(figures: CheckedFigures): void {
  const wholeNumbers = {
    writerMemory: [128, 10_240],
    plannerMemory: [128, 10_240],
    maxConcurrency: [1, 10_000],
    maxAttempts: [1, 100],
    ...(figures.isExpress ? {} : { distributeAbove: [0, 1000] }),
  } as const;
  for (const [name, [from, to]] of Object.entries(wholeNumbers)) {
    const value = figures[name as keyof typeof wholeNumbers & keyof typeof figures] as number;
    if (Token.isUnresolved(value) || (Number.isInteger(value) && value >= from && value <= to)) continue;
    throw invalid(`${name} is ${value}`, `Give a whole number from ${from} to ${to}.`);
  }
}

function checkTimes({ isExpress, ...figures }: CheckedFigures): void {
  const [timeout, writer, planner] = [figures.timeout, figures.writerTimeout, figures.plannerTimeout].map(
    (time) => time.toSeconds(),
  ) as [number, number, number];
  for (const [name, seconds] of Object.entries({ writerTimeout: writer, plannerTimeout: planner })) {
    if (seconds < 3 || seconds > LAMBDA_SECONDS)
      throw invalid(`${name} is ${seconds} s`, "Lambda runs for 3 seconds to 15 minutes.");
  }
  if (isExpress && timeout > EXPRESS_SECONDS)
    throw invalid(`timeout is ${timeout} s`, "An Express workflow ends after five minutes.");
  if (timeout >= writer + 2 * planner) return;
  throw invalid(
    `timeout is ${timeout} s`,
    "One batch may need plannerTimeout + writerTimeout + plannerTimeout: make timeout longer, or those shorter.",
  );
}

function checkStalls(props: MicroBatchPipelineProps, { writerTimeout }: CheckedFigures): void {
  const stallAfter = props.stallAfter?.toSeconds() ?? 1;
  if (stallAfter < 1 || stallAfter >= writerTimeout.toSeconds())
    throw invalid(
      `stallAfter is ${stallAfter} s`,
      `Give a second at least, and less than the ${writerTimeout.toSeconds()} s of writerTimeout: a task is stopped then.`,
    );
  const stalledAfter = props.alarms === false ? undefined : props.alarms?.stalledAfter;
  if (stalledAfter !== undefined && stalledAfter.toSeconds() > MAX_STALL_SECONDS)
    throw invalid(
      `alarms.stalledAfter is ${stalledAfter.toSeconds()} s`,
      "CloudWatch looks back for a week at most.",
    );
}

function checkNetwork(props: MicroBatchPipelineProps): void {
  const ofNetwork = (["vpcSubnets", "securityGroups"] as const).find((name) => props[name] !== undefined);
  if (ofNetwork !== undefined && props.vpc === undefined)
    throw invalid(`${ofNetwork} is set, and vpc is not`, "Give the vpc too, or leave both out.");
}

function checkVariables({ environment = {}, secrets = {} }: MicroBatchPipelineProps): void {
  const reserved = Object.keys({ ...environment, ...secrets }).find(isReserved);
  if (reserved !== undefined)
    throw invalid(`the variable ${reserved} is Millrace's own`, "Give it another name.");
  const doubled = Object.keys(secrets).find((name) => environment[name] !== undefined);
  if (doubled !== undefined)
    throw invalid(`${doubled} is in environment and in secrets`, "Leave it in one of them.");
}

function isReserved(variable: string): boolean {
  return (
    [VARIABLE_PREFIX, "AWS_LAMBDA_"].some((prefix) => variable.startsWith(prefix)) ||
    Object.values<string>(POWERTOOLS).includes(variable)
  );
}

function invalid(problem: string, hint: string): MillraceError {
  return new MillraceError("PROPS_INVALID", `MicroBatchPipeline: ${problem}. ${hint}`, { hint });
}
