import { ArnFormat, Duration, Stack } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import {
  Choice,
  Condition,
  DefinitionBody,
  DistributedMap,
  Fail,
  Map as InlineMap,
  JitterType,
  LogLevel,
  Pass,
  ProvideItems,
  QueryLanguage,
  S3JsonItemReader,
  type State,
  StateMachine,
  StateMachineType,
  Succeed,
  TaskInput,
  Timeout,
} from "aws-cdk-lib/aws-stepfunctions";
import { LambdaInvoke, StepFunctionsStartExecution } from "aws-cdk-lib/aws-stepfunctions-tasks";
import { Construct } from "constructs";
import { context, input, inputIs, inputWith, mapItem, type Template } from "../shared/aws/jsonata.ts";
import { STEP_ERROR_PREFIX } from "../shared/aws/names.ts";
import {
  type Continued,
  type ExecutionInput,
  type Failed,
  type Finalized,
  type NextExecution,
  type PlanEvent,
  type Planned,
  type StageEvent,
  TASK_END,
  type TaskEnds,
  type Work,
  type WriteEvent,
  type WriteItem,
  type Written,
} from "../shared/aws/state.ts";
import type { ListedTask } from "../shared/contract/store-layout.ts";
import { accept, grant } from "./accept.ts";
import {
  type FunctionContext,
  keysOf,
  LOGS_GO,
  type MachineNames,
  type StepFunctionSet,
  tracingStatement,
  versionOf,
} from "./functions.ts";
import { listsOfTasks } from "./permissions.ts";
import { retryStep, retryWrite } from "./retries.ts";

/** An inline Map runs at most 40 iterations in parallel. */
const INLINE_CONCURRENCY = 40;
/** How long after its timeout a function may still report before its task counts as lost. */
const TASK_GRACE = Duration.seconds(30);
/** JSONata that classifies the error of a failed task. */
const TASK_FAILED = [
  `{% $contains($states.errorOutput.Error, "${STEP_ERROR_PREFIX}") ? ${TASK_END.failed}`,
  `: $contains($states.errorOutput.Error, "Time") ? ${TASK_END.outOfTime} : ${TASK_END.killed} %}`,
].join(" ");

const KILLED = `$states.result[$ > ${TASK_END.failed}]`;

/** Keeps Plan's output and adds how many tasks failed and how one was killed. */
const WRITTEN = inputWith<TaskEnds>({
  failed: `$count($states.result[$ != ${TASK_END.done}])`,
  killed: `$count(${KILLED}) > 0 ? ${KILLED}[0] : null`,
});

/** What the tasks of a Map do with their rows. */
type TaskKind = "Exchange" | "Write";

/**
 * The state machine of a pipeline: Plan, a Map over Write, Finalize, and Plan again. If tasks must
 * exchange rows, Plan is followed by a Map over Write that does, and by a Plan of the next stage.
 * It calls versions of the functions. An execution keeps the definition with which it started, and
 * with it the versions, so all steps of a batch run the same code even if the stack is deployed
 * meanwhile.
 */
export class PipelineStateMachine extends Construct {
  readonly stateMachine: StateMachine;
  readonly #context: FunctionContext;
  readonly #functions: StepFunctionSet;

  constructor(scope: Construct, id: string, context: FunctionContext, functions: StepFunctionSet) {
    super(scope, id);
    this.#context = context;
    this.#functions = functions;
    const { props, figures, places, machine } = context;
    const { isExpress } = figures;
    const role = this.#role();
    this.stateMachine = new StateMachine(this, "StateMachine", {
      stateMachineName: machine.name,
      stateMachineType: isExpress ? StateMachineType.EXPRESS : StateMachineType.STANDARD,
      comment: `Millrace pipeline ${places.pipeline}`,
      queryLanguage: QueryLanguage.JSONATA,
      definitionBody: DefinitionBody.fromChainable(this.#definition()),
      timeout: figures.timeout,
      // CDK would also grant access to all executions.
      role: role.withoutPolicyUpdates(),
      tracingEnabled: props.tracing ?? false,
      ...(isExpress
        ? { logs: { destination: this.#logs(), level: LogLevel.ALL, includeExecutionData: true } }
        : {}),
      ...(props.removalPolicy === undefined ? {} : { removalPolicy: props.removalPolicy }),
    });
    this.stateMachine.node.addDependency(role);
    // CDK creates this policy too, but it never gets into the template.
    this.stateMachine.node.tryRemoveChild("DistributedMapPolicy");
    this.#accept();
  }

  /**
   * `Plan`, `Write` and `Finalize` are functions/{plan,write,finalize}.ts; shared/aws/state.ts
   * defines their payloads.
   */
  #definition(): State {
    const plan = this.#invoke<PlanEvent>("Plan", {
      input: input((asked: ExecutionInput) => asked),
      execution: {
        id: context(({ Execution }) => Execution.Id),
        startedAt: context(({ Execution }) => Execution.StartTime),
      },
    });
    const finalize = this.#invoke<Written>(
      "Finalize",
      input((written: Written) => written),
    );
    const planStage = this.#invoke<StageEvent>(
      "Plan",
      { exchanged: input((work: Written) => work) },
      "Plan stage",
    );
    for (const step of [plan, planStage, finalize]) retryStep(step, this.#context.figures);

    const route = Choice.jsonata(this, "Anything to do?");
    const isPlanned = (next: Planned["next"]) =>
      Condition.jsonata(inputIs((planned: Planned) => planned.next, next));
    route.when(isPlanned("ExchangeInline"), this.#inlineMap("Exchange", planStage));
    route.when(isPlanned("WriteInline"), this.#inlineMap("Write", finalize));
    if (!this.#context.figures.isExpress) {
      route.when(isPlanned("ExchangeDistributed"), this.#distributedMap("Exchange", planStage));
      route.when(isPlanned("WriteDistributed"), this.#distributedMap("Write", finalize));
    }
    route.when(isPlanned("PlanStage"), planStage);
    const done = Succeed.jsonata(this, "Done");
    route.when(isPlanned("Finalize"), finalize).otherwise(done);
    const isFinalized = (next: Finalized["next"]) =>
      Condition.jsonata(inputIs((finalized: Finalized) => finalized.next, next));
    const after = Choice.jsonata(this, "More?")
      .when(isFinalized("Plan"), plan)
      .when(isFinalized("Continue"), this.#continue().next(done))
      .when(isFinalized("Failed"), this.#failed())
      .otherwise(done);
    plan.next(route);
    planStage.next(route);
    finalize.next(after);
    return plan;
  }

  #invoke<Event extends object>(
    step: "Plan" | "Finalize",
    payload: Template<Event>,
    id: string = step,
  ): LambdaInvoke {
    const { timeout = Duration.minutes(15) } = this.#functions[step];
    return LambdaInvoke.jsonata(this, id, {
      lambdaFunction: versionOf(this.#functions[step]),
      payload: typeof payload === "string" ? TaskInput.fromText(payload) : TaskInput.fromObject(payload),
      outputs: "{% $states.result.Payload %}",
      retryOnServiceExceptions: false,
      taskTimeout: Timeout.duration(timeout.plus(TASK_GRACE)),
    });
  }

  /** Creates a Map in this execution. Its tasks exchange rows, or write them. */
  #inlineMap(kind: TaskKind, next: LambdaInvoke): InlineMap {
    const { maxConcurrency } = this.#context.figures;
    const map = InlineMap.jsonata(this, `${kind} partitions`, {
      items: ProvideItems.jsonata(input((work: Work) => work.todo)),
      maxConcurrency: Math.min(INLINE_CONCURRENCY, maxConcurrency),
      itemSelector: {
        run: input((work: Work) => work.run),
        partition: mapItem((partition: Work["todo"][number]) => partition),
      } satisfies Template<WriteItem>,
      outputs: WRITTEN,
    });
    map.itemProcessor(this.#task(kind, this.#context.figures.isExpress));
    this.#goOnAfter(map, next);
    return map;
  }

  /** Creates a Map of child executions. */
  #distributedMap(kind: TaskKind, next: LambdaInvoke): DistributedMap {
    const { hasExpressChildren, maxConcurrency } = this.#context.figures;
    const map = DistributedMap.jsonata(this, `${kind} many partitions`, {
      label: kind,
      itemReader: new S3JsonItemReader({
        bucket: this.#context.places.bucket,
        key: input((work: Work) => work.items?.key),
      }),
      mapExecutionType: hasExpressChildren ? StateMachineType.EXPRESS : StateMachineType.STANDARD,
      maxConcurrency,
      itemSelector: {
        run: input((work: Work) => work.run),
        partition: mapItem((listed: ListedTask) => listed.task),
      } satisfies Template<WriteItem>,
      outputs: WRITTEN,
    });
    map.itemProcessor(this.#task(`${kind} one of many`, hasExpressChildren));
    this.#goOnAfter(map, next);
    return map;
  }

  /**
   * Creates the states for one task. A failure becomes a result: the Map completes, Finalize
   * decides.
   */
  #task(id: string, isShort: boolean): State {
    const write = LambdaInvoke.jsonata(this, id, {
      lambdaFunction: versionOf(this.#functions.Write),
      payload: TaskInput.fromObject({
        run: input((item: WriteItem) => item.run),
        partition: input((item: WriteItem) => item.partition),
        attemptNumber: context(({ State }) => State.RetryCount),
      } satisfies Template<WriteEvent>),
      // The result is in the ledger. Ten thousand results would exceed the size limit of the state.
      outputs: `{% ${TASK_END.done} %}`,
      retryOnServiceExceptions: false,
      taskTimeout: Timeout.duration(this.#context.figures.writerTimeout.plus(TASK_GRACE)),
    });
    retryWrite(write, this.#context.figures, isShort);
    const failed = Pass.jsonata(this, `${id}: failed`);
    write.addCatch(failed, {
      errors: ["States.ALL"],
      outputs: TASK_FAILED,
    });
    return write;
  }

  /** Continues with the next step even if the Map itself fails. */
  #goOnAfter(map: InlineMap | DistributedMap, next: LambdaInvoke): void {
    const failed = Pass.jsonata(this, `${map.id}: failed`);
    map.addCatch(failed.next(next), {
      errors: ["States.ALL"],
      outputs: inputWith<TaskEnds>({ killed: "$states.errorOutput.Error" }),
    });
    map.next(next);
  }

  /**
   * Starts a new execution that continues, because an execution must end before its history is full
   * or its timeout is reached.
   */
  #continue(): StepFunctionsStartExecution {
    const { machine } = this.#context;
    const start = StepFunctionsStartExecution.jsonata(this, "Go on in a new execution", {
      stateMachine: StateMachine.fromStateMachineArn(this, "Itself", machine.arn),
      input: TaskInput.fromText(input((continued: Continued) => continued.input)),
      outputs: inputWith<NextExecution>({ execution: "$states.result.ExecutionArn" }),
    });
    // A retry may start two executions. That is harmless: one finds that the other holds the lease.
    start.addRetry({
      errors: ["States.ALL"],
      interval: Duration.seconds(1),
      backoffRate: 2,
      maxAttempts: 5,
      jitterStrategy: JitterType.FULL,
    });
    return start;
  }

  #failed(): Fail {
    return Fail.jsonata(this, "Batch not committed", {
      error: input((failed: Failed) => failed.error.code),
      cause: input((failed: Failed) => failed.error.message),
    });
  }

  #role(): Role {
    const { props, places, figures, machine } = this.#context;
    const role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("states.amazonaws.com"),
      description: `Millrace pipeline ${places.pipeline}: its state machine`,
    });
    const { Plan, Write, Finalize } = this.#functions;
    const statements = [
      new PolicyStatement({
        actions: ["lambda:InvokeFunction"],
        // All versions, because the role also applies to executions that started before a
        // deployment. Those of an older Millrace call the functions without a version.
        resources: [Plan, Write, Finalize].flatMap(({ functionArn }) => [functionArn, `${functionArn}:*`]),
      }),
      new PolicyStatement({ actions: ["states:StartExecution"], resources: [machine.arn] }),
    ];
    if (!figures.isExpress) {
      statements.push(
        new PolicyStatement({
          actions: ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"],
          resources: [machine.executions, machine.children],
        }),
        listsOfTasks(places),
      );
      for (const key of keysOf(props)) key.grantDecrypt(role);
    }
    if (figures.isExpress) statements.push(logDeliveryStatement());
    if (props.tracing) statements.push(tracingStatement("xray:GetSamplingRules", "xray:GetSamplingTargets"));
    grant(role, ...statements);
    return role;
  }

  #logs(): LogGroup {
    const { props, machine } = this.#context;
    return new LogGroup(this, "Logs", {
      // With this prefix, AWS does not add the log group to a resource policy of limited size.
      logGroupName: `/aws/vendedlogs/states/${machine.name}`,
      retention: props.logRetention ?? RetentionDays.ONE_MONTH,
      removalPolicy: props.removalPolicy ?? LOGS_GO,
    });
  }

  #accept(): void {
    const { props, figures } = this.#context;
    if (!figures.isExpress) {
      accept(
        this.stateMachine,
        "AwsSolutions-SF1",
        "Step Functions keeps the history of a Standard workflow for 90 days, the functions log each step, and log delivery would need a role with a wildcard.",
      );
    }
    if (!props.tracing) {
      accept(
        this.stateMachine,
        "AwsSolutions-SF2",
        "`tracing: true` turns X-Ray on. It is off by default because X-Ray's actions know no resources, and each trace costs.",
      );
    }
  }
}

/**
 * Returns the permissions for Step Functions to deliver logs. These actions do not support
 * resource-level permissions.
 */
function logDeliveryStatement(): PolicyStatement {
  return new PolicyStatement({
    actions: [
      "logs:CreateLogDelivery",
      "logs:GetLogDelivery",
      "logs:UpdateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:DescribeResourcePolicies",
      "logs:DescribeLogGroups",
    ],
    resources: ["*"],
  });
}

/** Returns the names of the state machine for resources that start with `name`. */
export function machineOf(scope: Construct, name: string, isExpress: boolean): MachineNames {
  // The type of a state machine cannot be changed, so each type has its own name and is a separate
  // resource.
  const machineName = isExpress ? `${name}-express` : name;
  const arn = (resource: string, resourceName: string) =>
    Stack.of(scope).formatArn({
      service: "states",
      resource,
      resourceName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  return {
    name: machineName,
    arn: arn("stateMachine", machineName),
    executions: arn(isExpress ? "express" : "execution", `${machineName}:*`),
    children: arn("execution", `${machineName}/*`),
  };
}
