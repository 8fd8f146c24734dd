/**
 * Limits of the requests of AWS clients. Without them the SDK waits for ever for a server that
 * accepts the connection and does not answer. A client takes them as its option `requestHandler`.
 * In milliseconds.
 */
export interface RequestLimits {
  readonly connectionTimeout: number;
  /** From the start of the request to the headers of the response. */
  readonly requestTimeout: number;
  /** Without it the SDK only writes a warning. */
  readonly throwOnRequestTimeout: true;
  /** Without any byte in either direction, also while the body of the response arrives. */
  readonly socketTimeout: number;
}

const CONNECTION_MILLISECONDS = 5000;
const ANSWER_MILLISECONDS = 15_000;
/** A part of an upload has up to some MiB, which takes time on a slow line. */
const TRANSFER_MILLISECONDS = 120_000;
const SILENCE_MILLISECONDS = 30_000;
/** Longest run time of a Lambda function. */
const FUNCTION_MILLISECONDS = 900_000;

/**
 * Returns the limits for calls that the service answers at once. `waits`: milliseconds that the
 * service itself may wait before it answers, such as a long poll. SDK error: `TimeoutError`, which
 * the SDK and `isTransient` count as transient.
 */
export function requestLimits(waits = 0): RequestLimits {
  return limitsOf(ANSWER_MILLISECONDS + waits, ANSWER_MILLISECONDS + waits);
}

/** Returns the limits for calls that transfer objects. */
export function transferLimits(): RequestLimits {
  return limitsOf(TRANSFER_MILLISECONDS, SILENCE_MILLISECONDS);
}

/** Returns the limits for calls that wait for the result of a Lambda function. */
export function invocationLimits(): RequestLimits {
  return requestLimits(FUNCTION_MILLISECONDS);
}

function limitsOf(requestTimeout: number, socketTimeout: number): RequestLimits {
  return {
    connectionTimeout: CONNECTION_MILLISECONDS,
    requestTimeout,
    throwOnRequestTimeout: true,
    socketTimeout,
  };
}
