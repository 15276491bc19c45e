// Serves the test pages and the built SDK from their own origin, like an application that embeds the SDK.
// @ts-check
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

import { repository } from "./system.mjs";

/** @type {Record<string, string>} */
const types = { ".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".js": "text/javascript", ".map": "application/json" };
/** @type {Array<[string, string]>} */
const roots = [
  ["/pages/", join(repository, "tests/e2e/pages/")],
  ["/sdk/", join(repository, "sdks/web/dist/")],
];

export async function servePages() {
  /** Pages that a test provides, by path. @type {Map<string, string>} */
  const documents = new Map();
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const document = documents.get(path);
    if (document !== undefined) {
      response.writeHead(200, { "content-type": types[".html"] }).end(document);
      return;
    }
    const root = roots.find(([prefix]) => path.startsWith(prefix));
    try {
      if (!root) throw new Error("no such root");
      const body = await readFile(join(root[1], path.slice(root[0].length)));
      response.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { origin: `http://localhost:${address.port}`, documents, close: () => new Promise((done) => server.close(done)) };
}
