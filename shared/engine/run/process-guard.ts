import { onAbort } from "../../contract/abort.ts";
import { MillraceError, toMillraceError } from "../../contract/errors.ts";

/** The parts of Node's `process` that the guard uses. */
export type HostProcess = Pick<NodeJS.Process, "exit" | "kill" | "abort" | "pid" | "on" | "off">;

/**
 * Replaces `exit`, `kill` of the own process, and `abort` by functions that throw `PROCESS_EXIT`
 * while `isGuarded` returns true. A library that ends the process would otherwise end the run with
 * the exit code 0 and without a word. Returns a function that puts the original ones back. `sync`
 * is called after each change, to update the named exports of `node:process`.
 */
export function forbidExit(
  host: HostProcess,
  sync: () => void,
  isGuarded: () => boolean = () => true,
): () => void {
  const { exit, kill, abort } = host;
  host.exit = (code) => {
    if (!isGuarded()) return exit.call(host, code);
    throw exited(`process.exit(${code ?? ""})`);
  };
  host.kill = (pid, signal) => {
    const isOwn = pid === host.pid || pid === 0 || pid === -host.pid;
    if (!isOwn || signal === 0 || !isGuarded()) return kill.call(host, pid, signal);
    throw exited(
      `process.kill(${pid === host.pid ? "process.pid" : pid}, ${JSON.stringify(signal ?? "SIGTERM")})`,
    );
  };
  host.abort = () => {
    if (!isGuarded()) return abort.call(host);
    throw exited("process.abort()");
  };
  sync();
  return () => {
    Object.assign(host, { exit, kill, abort });
    sync();
  };
}

/**
 * Calls `onError` for rejections and errors that nothing handles. Returns a function that ends
 * this.
 */
export function watchUncaught(host: HostProcess, onError: (error: MillraceError) => void): () => void {
  const onRejection = (reason: unknown) =>
    onError(uncaught("a promise was rejected, and nothing handles it", reason));
  const onException = (thrown: unknown) =>
    onError(uncaught("an error was thrown outside of every promise", thrown));
  host.on("unhandledRejection", onRejection);
  host.on("uncaughtException", onException);
  return () => {
    host.off("unhandledRejection", onRejection);
    host.off("uncaughtException", onException);
  };
}

/**
 * Returns the result of `work`. If `crash` aborts first, rejects with its reason and abandons the
 * work, as a killed process would.
 */
export async function unlessCrashed<T>(crash: AbortSignal, work: Promise<T>): Promise<T> {
  crash.throwIfAborted();
  const { promise: crashed, reject } = Promise.withResolvers<never>();
  const stopListening = onAbort(crash, () => reject(crash.reason));
  try {
    return await Promise.race([work, crashed]);
  } finally {
    stopListening();
  }
}

/** Creates the error for a process that ends before its command has ended. */
export function endedEarly(): MillraceError {
  return new MillraceError("PROCESS_EXIT", "the process ended before the command had done its work", {
    hint: "Look for code of the pipeline that ends the process, or that waits for something that can never come. What was committed stays; the next `millrace run` goes on.",
  });
}

function exited(call: string): MillraceError {
  return new MillraceError("PROCESS_EXIT", `the pipeline's code, or a library of it, called ${call}`, {
    hint: "Throw an error in place of the call, which the stack below shows. The process goes on to end the run in order.",
    cause: new Error(`${call} was called`),
  });
}

function uncaught(problem: string, thrown: unknown): MillraceError {
  const error = toMillraceError(thrown, "UNCAUGHT_ERROR", problem, {});
  if (MillraceError.is(thrown)) return error;
  return error.with({
    hint: "Await the promise, or catch the error: its stack is below, or in the log of the run. What was committed stays; the next `millrace run` goes on with the batch.",
  });
}
