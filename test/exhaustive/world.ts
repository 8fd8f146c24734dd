import { MillraceError } from "../../shared/contract/errors.ts";
import { canonicalJson, type JsonValue } from "../../shared/contract/json.ts";
import { MemoryStore } from "../../shared/platform/memory/memory-store.ts";
import {
  type Acknowledged,
  type Answer,
  type Call,
  type Effect,
  NOW,
  type Objects,
  type PartName,
} from "./calls.ts";
import { ledgerStepProblem } from "./ledger-rules.ts";
import { MemoryLedger, NO_RECORDS, type Records } from "./memory-ledger.ts";

interface Contents {
  readonly ledger: Records;
  readonly store: Objects;
  readonly source: Acknowledged;
}

/** Equal values get the same number, in the order of their first appearance. */
export class Numbered<T> {
  readonly values: T[] = [];
  readonly #numbers = new Map<string, number>();

  /** Returns the number of the value with this key. `make` is only called for a new key. */
  number(key: string, make: (number: number) => T): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.values.length;
    this.#numbers.set(key, number);
    this.values.push(make(number));
    return number;
  }

  get(key: string, make: (number: number) => T): T {
    return this.at(this.number(key, make));
  }

  at(number: number): T {
    return this.values[number] as T;
  }
}

const READS = /^(?:get|getRange|list|listUnfinished|stat|head|batch|task|tasks|progress|batches)$/;
/** More than the number of calls, so that a call and a state of its part make one number. */
const MAX_CALLS = 2 ** 26;

/**
 * The ledger, the store and the source, as immutable states with numbers. The effect of a call on a
 * state is computed once, by the engine's transitions and the memory store.
 */
export class World {
  readonly calls = new Numbered<Call>();
  readonly answers = new Numbered<Answer>();
  readonly #bytes = new Numbered<Uint8Array>();
  readonly #states = {
    ledger: new Numbered<Records>(),
    store: new Numbered<Objects>(),
    source: new Numbered<Acknowledged>(),
  };
  readonly #effects = { ledger: new Map(), store: new Map(), source: new Map() } as Readonly<
    Record<PartName, Map<number, Effect>>
  >;

  constructor() {
    this.#ledgerState(NO_RECORDS);
    this.#storeState(new Map());
    this.#sourceState([]);
  }

  /** Returns the content of a part in the state with this number. State 0 is empty. */
  content<P extends PartName>(part: P, state: number): Contents[P] {
    return this.#states[part].at(state) as Contents[P];
  }

  get sizes(): Readonly<Record<PartName, number>> {
    const { ledger, store, source } = this.#states;
    return { ledger: ledger.values.length, store: store.values.length, source: source.values.length };
  }

  call(part: PartName, method: string, args: readonly unknown[], folder = ""): Call {
    const key = `${part} ${folder} ${method} ${this.#text(args)}`;
    return this.calls.get(key, (id) => ({
      id,
      part,
      method,
      args: this.#shared(args) as unknown[],
      folder,
      isRead: READS.test(method),
    }));
  }

  answer(value: unknown): Answer {
    return this.answers.get(`= ${this.#text(value)}`, (id) => ({ id, value: this.#shared(value) }));
  }

  error(error: unknown): Answer {
    // Anything else is a mistake of the search itself.
    if (!MillraceError.is(error)) throw error;
    const { code, message, where, hint, retryable } = error;
    const parts = { code, message, where, hint, retryable };
    return this.answers.get(`! ${this.#text(parts)}`, (id) => ({ id, error: parts }));
  }

  /** Returns the effect of a call if it is known already. */
  knownEffect(call: Call, state: number): Effect | undefined {
    return this.#effects[call.part].get(state * MAX_CALLS + call.id);
  }

  async effect(call: Call, state: number): Promise<Effect> {
    const known = this.knownEffect(call, state);
    if (known !== undefined) return known;
    const effect = await this.#carryOut(call, state);
    this.#effects[call.part].set(state * MAX_CALLS + call.id, effect);
    return effect;
  }

  async #carryOut(call: Call, state: number): Promise<Effect> {
    if (call.part === "ledger") return await this.#onLedger(call, state);
    if (call.part === "store") return await this.#onStore(call, state);
    const told = new Set([...this.content("source", state), Number(call.args[0])]);
    return { after: this.#sourceState([...told].sort()), answer: this.answer(undefined), problem: undefined };
  }

  async #onLedger(call: Call, state: number): Promise<Effect> {
    const before = this.content("ledger", state);
    const ledger = new MemoryLedger(before);
    const answer = await this.#answerOf(() => methodOf(ledger, call.method)(...call.args));
    const after = this.#ledgerState(ledger.records);
    const problem = ledgerStepProblem(before, ledger.records, call);
    return { after, answer, problem };
  }

  async #onStore(call: Call, state: number): Promise<Effect> {
    const objects = new Map(
      [...this.content("store", state)].map(([key, bytes]) => [key, { bytes, modifiedAt: NOW }]),
    );
    const all = new MemoryStore({ objects, uploads: new Map(), now: () => NOW });
    const store = call.folder === "" ? all : all.at(call.folder.slice(0, -1));
    const answer = await this.#answerOf(async () => {
      const result = methodOf(store, call.method)(...call.args);
      return isIterable(result) ? await Array.fromAsync(result) : await result;
    });
    const after = new Map([...objects].map(([key, { bytes }]) => [key, bytes]));
    return { after: this.#storeState(after), answer, problem: undefined };
  }

  async #answerOf(body: () => unknown): Promise<Answer> {
    try {
      return this.answer(await body());
    } catch (error) {
      return this.error(error);
    }
  }

  #ledgerState(records: Records): number {
    return this.#states.ledger.number(canonicalJson(records as unknown as JsonValue), () => frozen(records));
  }

  #storeState(objects: Objects): number {
    const sorted = [...objects].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = sorted.map(([path, bytes]) => `${path} ${this.#numberOf(bytes)}`).join("\n");
    return this.#states.store.number(
      key,
      () => new Map(sorted.map(([path, bytes]) => [path, this.#bytes.at(this.#numberOf(bytes))])),
    );
  }

  #sourceState(acknowledged: Acknowledged): number {
    return this.#states.source.number(String(acknowledged), () => acknowledged);
  }

  #numberOf(bytes: Uint8Array): number {
    return this.#bytes.number(Buffer.from(bytes).toString("latin1"), () => bytes);
  }

  /** Text that is equal for equal values. Bytes are named by a number. */
  #text(value: unknown): string {
    return JSON.stringify(value === undefined ? null : this.#plain(value));
  }

  #plain(value: unknown): unknown {
    if (value instanceof Uint8Array) return { bytes: this.#numberOf(value) };
    if (value instanceof Map) return { map: [...value].map((entry) => this.#plain(entry)) };
    if (Array.isArray(value)) return value.map((each) => this.#plain(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, this.#plain(each)]));
  }

  /** A copy with shared bytes, frozen because many processes receive it. */
  #shared(value: unknown): unknown {
    if (value instanceof Uint8Array) return this.#bytes.at(this.#numberOf(value));
    if (Array.isArray(value)) return Object.freeze(value.map((each) => this.#shared(each)));
    if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, this.#shared(each)]));
    if (typeof value !== "object" || value === null) return value;
    const fields = Object.entries(value).map(([name, each]) => [name, this.#shared(each)]);
    return Object.freeze(Object.fromEntries(fields));
  }
}

type Method = (...args: readonly unknown[]) => unknown;

function methodOf(target: object, name: string): Method {
  return (Reflect.get(target, name) as Method).bind(target);
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/**
 * Freezes the value and everything in it, except bytes. A process that changes it gets an error.
 */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value))
    return value;
  for (const each of Object.values(value)) frozen(each);
  return Object.freeze(value);
}
