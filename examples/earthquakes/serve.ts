import { startFeed } from "./feed.ts";

/**
 * `node examples/earthquakes/serve.ts [PORT]` serves the feed until Ctrl-C, for a pipeline that
 * runs in another process.
 */
const { url } = await startFeed({ port: Number(process.argv[2] ?? 8000) });
console.log(url);
