/**
 * One process of this program is one Lambda execution environment: it loads the handler once, then
 * answers requests one after another. executor.py is at the other end of its pipes and kills it
 * when its time is up.
 *
 * stdin: one JSON request per line. File descriptor argv[2]: JSON messages, one per line, of these
 * kinds: `ready` or `init_error` once; `log` at any time; `ok` or `error` with a `body`, one for
 * each request; `fatal` in place of any of them, after which the process ends.
 *
 * Logs are sent as they are written, so that the logs of a function that is killed or crashes are
 * not lost. stdin ends when LocalStack stops or dies, and this process ends with it.
 */
import { existsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const messageFd = Number(process.argv[2]);

function send(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(messageFd, bytes, at);
}

function errorBody(error, errorType) {
  if (!(error instanceof Error))
    return { errorType: errorType ?? typeof error, errorMessage: String(error), trace: [] };
  return {
    errorType: errorType ?? error.name,
    errorMessage: error.message,
    trace: (error.stack ?? "").split("\n"),
  };
}

let requestId = "";

/**
 * Makes `console` write the text format of the managed Node runtime: a carriage return keeps a
 * record on one line.
 */
function captureLogs() {
  const levels = {
    log: "INFO",
    info: "INFO",
    warn: "WARN",
    error: "ERROR",
    debug: "DEBUG",
    trace: "TRACE",
  };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...args) => log(level, format(...args).replaceAll("\n", "\r"));
  }
  // Structured loggers such as Powertools bypass the console.
  for (const stream of [process.stdout, process.stderr]) {
    stream.write = (chunk, encoding, callback) => {
      send({ kind: "log", line: Buffer.from(chunk).toString().replace(/\n$/, "") });
      const done = typeof encoding === "function" ? encoding : callback;
      if (done) process.nextTick(done);
      return true;
    };
  }
}

function log(level, text) {
  send({ kind: "log", line: `${new Date().toISOString()}\t${requestId}\t${level}\t${text}` });
}

/**
 * Lambda ends an environment with an uncaught error and reports it as the answer of the present
 * request.
 */
function endOnUncaughtErrors() {
  const end = (error, errorType) => {
    send({ kind: "fatal", body: errorBody(error, errorType) });
    process.exit(1);
  };
  process.on("unhandledRejection", (error) => end(error, "Runtime.UnhandledPromiseRejection"));
  process.on("uncaughtException", (error) => end(error));
}

async function loadHandler() {
  const name = process.env._HANDLER ?? "";
  const dot = name.lastIndexOf(".");
  const base = join(process.env.LAMBDA_TASK_ROOT, name.slice(0, dot));
  const file = [".js", ".mjs", ".cjs"].map((extension) => base + extension).find((path) => existsSync(path));
  if (!file) throw named("Runtime.ImportModuleError", `Cannot find module '${name.slice(0, dot)}'`);
  const module = await import(pathToFileURL(file).href);
  const member = name.slice(dot + 1);
  const handler = module[member] ?? module.default?.[member];
  if (typeof handler !== "function")
    throw named("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  return handler;
}

function named(name, message) {
  return Object.assign(new Error(message), { name });
}

function contextOf(request) {
  const { env } = process;
  const deadline = Date.now() + Number(env.AWS_LAMBDA_FUNCTION_TIMEOUT) * 1000;
  return {
    awsRequestId: requestId,
    invokedFunctionArn: request["invoked-function-arn"],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

/** A handler returns its result or a promise of it; the runtime for Node 24 has no callbacks. */
async function answer(handler, request) {
  requestId = request["invoke-id"];
  process.env._X_AMZN_TRACE_ID = request["trace-id"] ?? "";
  try {
    const event = request.payload ? JSON.parse(request.payload) : {};
    const result = await handler(event, contextOf(request));
    send({ kind: "ok", body: result === undefined ? null : result });
  } catch (error) {
    const body = errorBody(error);
    log("ERROR", `Invoke Error\t${JSON.stringify(body)}`);
    send({ kind: "error", body });
  }
}

captureLogs();
endOnUncaughtErrors();
let handler;
try {
  handler = await loadHandler();
} catch (error) {
  send({ kind: "init_error", body: errorBody(error) });
  process.exit(1);
}
send({ kind: "ready" });
for await (const line of createInterface({ input: process.stdin })) await answer(handler, JSON.parse(line));
process.exit(0);
