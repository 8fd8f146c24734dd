import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { PASSWORD } from "../postgres/databases.ts";

/** The port of the Iceberg catalog. It is fixed, because the deployed functions know it. */
const PORT = 4613;

/** The environment variables with which the deployed functions open the catalog. */
export const CATALOG_VARIABLES: Readonly<Record<string, string>> = {
  ICEBERG_CATALOG: `postgres://postgres@127.0.0.1:${PORT}/postgres`,
  PGPASSWORD: PASSWORD,
};

/** Passes connections to the fixed port on to a server of PostgreSQL. */
export async function forwardCatalog(port: number): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
  });
  server.listen(PORT, "127.0.0.1");
  await once(server, "listening");
  return {
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
