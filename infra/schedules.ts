import { TimeZone } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Schedule, ScheduleExpression, ScheduleTargetInput } from "aws-cdk-lib/aws-scheduler";
import { LambdaInvoke, StepFunctionsStartExecution } from "aws-cdk-lib/aws-scheduler-targets";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import type { ExecutionInput, VacuumEvent } from "../shared/aws/state.ts";
import { grant } from "./accept.ts";
import type { MicroBatchPipelineProps, ScheduleLike } from "./props.ts";

interface Targets {
  readonly name: string;
  readonly pipeline: string;
  readonly stateMachine: IStateMachine;
  readonly vacuum: IFunction;
}

/** Starts executions by the pipeline's schedule, and the vacuum function once a day. */
export class Schedules extends Construct {
  constructor(scope: Construct, id: string, props: MicroBatchPipelineProps, targets: Targets) {
    super(scope, id);
    const { name, pipeline, stateMachine, vacuum } = targets;
    const role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com"),
      description: `Millrace pipeline ${pipeline}: its schedules`,
    });
    grant(
      role,
      new PolicyStatement({
        actions: ["states:StartExecution"],
        resources: [stateMachine.stateMachineArn],
      }),
      new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources: [vacuum.functionArn] }),
    );
    // CDK would add permissions that are not needed: for all versions of the function.
    const target = { role: role.withoutPolicyUpdates(), retryAttempts: 2 };
    if (props.schedule !== undefined) {
      const start = new Schedule(this, "Start", {
        scheduleName: `${name}-start`,
        description: `Starts Millrace pipeline ${pipeline}`,
        schedule: expressionOf(props.schedule),
        enabled: props.enabled ?? true,
        target: new StepFunctionsStartExecution(stateMachine, {
          ...target,
          input: ScheduleTargetInput.fromObject({ reason: "schedule" } satisfies ExecutionInput),
        }),
      });
      start.node.addDependency(role);
    }
    const daily = new Schedule(this, "Vacuum", {
      scheduleName: `${name}-vacuum`,
      description: `Removes what Millrace pipeline ${pipeline} does not need any more`,
      schedule: ScheduleExpression.expression("rate(1 day)"),
      target: new LambdaInvoke(vacuum, {
        ...target,
        input: ScheduleTargetInput.fromObject({} satisfies VacuumEvent),
      }),
    });
    daily.node.addDependency(role);
  }
}

function expressionOf(schedule: ScheduleLike): ScheduleExpression {
  if (schedule instanceof ScheduleExpression) return schedule;
  // The schedule may come from another copy of aws-cdk-lib, for example if this package is linked.
  const { timeZone } = schedule as { readonly timeZone?: TimeZone };
  return ScheduleExpression.expression(
    schedule.expressionString,
    timeZone && TimeZone.of(timeZone.timezoneName),
  );
}
