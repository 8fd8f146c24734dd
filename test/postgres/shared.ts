import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { Databases, type PostgresServer } from "./databases.ts";
import { startPostgres } from "./server.ts";

/**
 * One PostgreSQL server for all test files of a run. vitest's global setup offers it, and the first
 * file that borrows it starts it. Only one file at a time has it, because a snapshot of PostgreSQL
 * also includes the running transactions of other databases.
 */

/** Environment variable with the port of 127.0.0.1 on which the server is offered. */
const VARIABLE = "MILLRACE_TEST_POSTGRES";

/** Offers a server to the test files. Returns a function that ends the server. */
export async function offerPostgres(): Promise<() => Promise<void>> {
  let starting: Promise<PostgresServer> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  // A borrower has the server until its connection ends, so a killed borrower gives it back, too.
  const offer = createServer((socket) => {
    const returned = new Promise((resolve) => socket.on("error", () => undefined).once("close", resolve));
    const turn = last;
    last = turn.then(() => returned);
    void turn.then(async () => {
      try {
        starting ??= startPostgres();
        socket.write(JSON.stringify({ port: (await starting).port }));
      } catch (error) {
        socket.end(JSON.stringify({ error: String(error) }));
      }
    });
    socket.resume();
  });
  offer.listen(0, "127.0.0.1");
  await once(offer, "listening");
  process.env[VARIABLE] = String((offer.address() as AddressInfo).port);
  return async () => {
    offer.close();
    await (await starting?.catch(() => undefined))?.stop();
  };
}

/** Waits until no other test file has the server. `stop()` gives it to the next test file. */
export async function borrowPostgres(): Promise<PostgresServer> {
  const offer = process.env[VARIABLE];
  if (offer === undefined) return await startPostgres();
  const socket = connect(Number(offer), "127.0.0.1");
  const [answer] = (await once(socket, "data")) as [Buffer];
  const { port, error } = JSON.parse(answer.toString()) as { port?: number; error?: string };
  if (port === undefined) throw new Error(error);
  const databases = new Databases(port, false);
  return {
    port,
    database: () => databases.database(),
    stop: async () => void socket.destroy(),
  };
}
