// The whole system as a user starts it: `nexus dev` as one child process on free ports, stopped with one SIGINT.
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const repository = resolve(import.meta.dirname, "../../..");

/** A TCP port that was free just now. @returns {Promise<number>} */
export async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

export class System {
  /** @param {import("node:child_process").ChildProcess} child @param {string} url @param {string} dataDir @param {string[]} log */
  constructor(child, url, dataDir, log) {
    this.child = child;
    this.url = url;
    this.dataDir = dataDir;
    this.log = log;
  }

  /**
   * @param {{env?: Record<string, string>, args?: string[]}} [options]
   * @returns {Promise<System>}
   */
  static async start(options = {}) {
    const port = await freePort();
    const dataDir = await mkdtemp(join(tmpdir(), "nexus-e2e-"));
    const child = spawn(
      join(repository, ".venv/bin/nexus"),
      ["dev", "--port", String(port), "--data-dir", dataDir, ...(options.args ?? ["--media-address", "127.0.0.1"])],
      { env: { ...process.env, ...options.env }, stdio: ["ignore", "pipe", "pipe"] },
    );
    /** @type {string[]} */
    const log = [];
    const url = `http://127.0.0.1:${port}`;
    /** @type {Promise<void>} */
    const ready = new Promise((fulfil, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          log.push(line);
          if (log.length > 20_000) log.shift();
          if (line.includes(`ready ${url}`)) fulfil();
        });
      }
      child.once("exit", (code) => reject(new Error(`nexus dev ended with ${code}:\n${log.slice(-60).join("\n")}`)));
    });
    await ready;
    return new System(child, url, dataDir, log);
  }

  /** @param {string} room @param {string} identity @param {Record<string, unknown>} [extra] @returns {Promise<{token: string, app_id: string}>} */
  async token(room, identity, extra = {}) {
    const response = await fetch(`${this.url}/v1/dev/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ room, identity, ...extra }),
    });
    if (!response.ok) throw new Error(`token: ${response.status} ${await response.text()}`);
    return /** @type {{token: string, app_id: string}} */ (await response.json());
  }

  /** Stops it like Ctrl-C, and returns the exit code. @returns {Promise<number | null>} */
  async stop() {
    if (this.child.exitCode === null) {
      this.child.kill("SIGINT");
      await once(this.child, "exit");
    }
    await rm(this.dataDir, { recursive: true, force: true });
    return this.child.exitCode;
  }
}
