/**
 * `node scripts/cost.ts`: prints the tables of docs/cost.md from the prices and figures in this
 * file.
 */

/** Prices in dollars in us-east-1, from the price pages in November 2026, without free tiers. */
export const PRICES = {
  standardTransition: 0.025 / 1000,
  expressRequest: 1.0 / 1e6,
  expressGigabyteSecond: 0.00001667,
  lambdaRequest: 0.2 / 1e6,
  lambdaGigabyteSecondArm: 0.0000133334,
  dynamodbWriteUnit: 0.625 / 1e6,
  dynamodbReadUnit: 0.125 / 1e6,
  s3Put: 0.005 / 1000,
  s3Get: 0.0004 / 1000,
  schedulerInvocation: 1.0 / 1e6,
  logGigabyte: 0.5,
  customMetricMonth: 0.3,
  alarmMetricMonth: 0.1,
  dashboardMonth: 3,
  glueDpuHour: 0.44,
  fargateArmCpuHour: 0.03238,
  fargateArmGigabyteHour: 0.00356,
} as const;

const HOURS_A_MONTH = 730;
const MINUTES_A_MONTH = HOURS_A_MONTH * 60;

/**
 * Seconds that the steps take. They are estimates: test/localstack counts requests but cannot
 * measure times.
 */
const PLAN_SECONDS = 0.3;
const FINALIZE_SECONDS = 0.4;
/** Interval in seconds at which a long writer reports its progress to the ledger. */
const REPORT_SECONDS = 10;
const PLANNER_GIGABYTES = 0.5;
const WRITER_GIGABYTES = 1;
/** Gigabytes of log per step: a line of 1 KB, and three lines of Lambda itself. */
const LOG_GIGABYTES_A_CALL = 1.5e-6;

interface Scenario {
  readonly name: string;
  readonly batchesAMonth: number;
  readonly partitions: number;
  readonly rowsAPartition: number;
  readonly writerSeconds: number;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "1,000 rows a minute, 1 partition",
    batchesAMonth: MINUTES_A_MONTH,
    partitions: 1,
    rowsAPartition: 1000,
    writerSeconds: 1,
  },
  {
    name: "100,000 rows a minute, 10 partitions",
    batchesAMonth: MINUTES_A_MONTH,
    partitions: 10,
    rowsAPartition: 10_000,
    writerSeconds: 5,
  },
  {
    name: "10 million rows an hour, 100 partitions",
    batchesAMonth: HOURS_A_MONTH,
    partitions: 100,
    rowsAPartition: 100_000,
    writerSeconds: 30,
  },
];

export type Lines = Readonly<Record<string, number>>;

/** Returns the dollars of one inline batch, by service. */
export function batchCost(
  { partitions, writerSeconds }: Pick<Scenario, "partitions" | "writerSeconds">,
  workflow: "standard" | "express" = "standard",
): Lines {
  const calls = 2 + partitions;
  const seconds = PLAN_SECONDS + FINALIZE_SECONDS + writerSeconds * Math.ceil(partitions / 40);
  // Plan, decide and finish each write the batch (2 KB) and the head (1 KB) in a transaction, which
  // doubles the units. Acquire, acknowledge and release write one unit each.
  const writeUnits = 3 * (2 * (2 + 1)) + 3;
  const reports = partitions * Math.max(0, Math.ceil(writerSeconds / REPORT_SECONDS) - 1);
  return {
    "Step Functions":
      workflow === "standard"
        ? (6 + partitions) * PRICES.standardTransition
        : PRICES.expressRequest + seconds * 0.0625 * PRICES.expressGigabyteSecond,
    Lambda:
      calls * PRICES.lambdaRequest +
      ((PLAN_SECONDS + FINALIZE_SECONDS) * PLANNER_GIGABYTES +
        partitions * writerSeconds * WRITER_GIGABYTES) *
        PRICES.lambdaGigabyteSecondArm,
    DynamoDB:
      (writeUnits + partitions + reports) * PRICES.dynamodbWriteUnit +
      (1 + Math.ceil((partitions * 0.5) / 4) + partitions) * PRICES.dynamodbReadUnit,
    S3: (5 + partitions) * PRICES.s3Put + partitions * PRICES.s3Get,
    Logs: calls * LOG_GIGABYTES_A_CALL * PRICES.logGigabyte,
    Scheduler: PRICES.schedulerInvocation,
  };
}

/** Returns the dollars of a run that finds no new data, by service. */
export function idleCost(): Lines {
  return {
    "Step Functions": 3 * PRICES.standardTransition,
    Lambda: PRICES.lambdaRequest + PLAN_SECONDS * PLANNER_GIGABYTES * PRICES.lambdaGigabyteSecondArm,
    DynamoDB: 2 * PRICES.dynamodbWriteUnit,
    Logs: LOG_GIGABYTES_A_CALL * PRICES.logGigabyte,
    Scheduler: PRICES.schedulerInvocation,
  };
}

/** Dollars per month that a pipeline costs even without a batch. */
export const FIXED_MONTH: Lines = {
  "11 metrics": 11 * PRICES.customMetricMonth,
  "8 alarms on 11 metrics": 11 * PRICES.alarmMetricMonth,
  "1 dashboard": PRICES.dashboardMonth,
};

/** Dollars per month of services that always run. */
export const ALWAYS_ON: Lines = {
  "Glue streaming, 2 × G.025X (0.5 DPU)": 0.5 * PRICES.glueDpuHour * HOURS_A_MONTH,
  "Glue streaming, 2 × G.1X (2 DPU)": 2 * PRICES.glueDpuHour * HOURS_A_MONTH,
  "Fargate container, 1 vCPU and 2 GB, ARM":
    (PRICES.fargateArmCpuHour + 2 * PRICES.fargateArmGigabyteHour) * HOURS_A_MONTH,
};

export const sum = (lines: Lines): number =>
  Object.values(lines).reduce((total, dollars) => total + dollars, 0);

const dollars = (amount: number): string =>
  amount >= 1 ? `$${amount.toFixed(2)}` : `$${amount.toPrecision(2)}`;
const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/** Returns the tables in the order in which docs/cost.md has them. */
export function tables(): readonly string[] {
  const services = Object.keys(batchCost({ partitions: 1, writerSeconds: 1 }));
  const perBatch = table(
    ["one batch", ...services, "sum"],
    [
      ...SCENARIOS.map((scenario) => {
        const cost = batchCost(scenario);
        return [scenario.name, ...services.map((service) => micro(cost[service] ?? 0)), micro(sum(cost))];
      }),
      ["nothing new", ...services.map((service) => micro(idleCost()[service] ?? 0)), micro(sum(idleCost()))],
    ],
  );
  const perMillion = table(
    ["", ...SCENARIOS.map(({ name }) => name)],
    [
      [
        "rows a month",
        ...SCENARIOS.map(
          (scenario) => `${Math.round(rowsAMonth(scenario) / 1e6).toLocaleString("en-US")} million`,
        ),
      ],
      ["Millrace, a month", ...SCENARIOS.map((scenario) => dollars(month(scenario)))],
      [
        "**Millrace, a million rows**",
        ...SCENARIOS.map((scenario) => `**${dollars(perMillionRows(scenario, month(scenario)))}**`),
      ],
      ["the same, Express workflow", ...SCENARIOS.map((scenario) => express(scenario))],
      ...Object.entries(ALWAYS_ON).map(([name, cost]) => [
        `${name}: ${dollars(cost)} a month`,
        ...SCENARIOS.map((scenario) => dollars(perMillionRows(scenario, cost))),
      ]),
    ],
  );
  return [perBatch, perMillion];
}

const micro = (amount: number): string => `${(amount * 1e6).toFixed(1)}`;
const rowsAMonth = ({ batchesAMonth, partitions, rowsAPartition }: Scenario) =>
  batchesAMonth * partitions * rowsAPartition;
const perMillionRows = (scenario: Scenario, cost: number) => cost / (rowsAMonth(scenario) / 1e6);
const month = (scenario: Scenario, workflow: "standard" | "express" = "standard") =>
  scenario.batchesAMonth * sum(batchCost(scenario, workflow)) + sum(FIXED_MONTH);

/**
 * Returns the price of a million rows with Express executions. They may take five minutes, which is
 * enough for a batch with at most 40 writers at a time.
 */
function express(scenario: Scenario): string {
  return dollars(perMillionRows(scenario, month(scenario, "express")));
}

if (process.argv[1] === import.meta.filename) console.log(tables().join("\n\n"));
