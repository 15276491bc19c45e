// A recorder without media as a process, for which signaling is configured by `address`. Its files are real videos.
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { repository } from "./system.mjs";

/** @returns {Promise<{address: string, stop: () => Promise<void>}>} */
export async function startFakeRecorder() {
  const child = spawn(join(repository, ".venv/bin/python"), [join(repository, "tests/e2e/support/fake_recorder.py")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`the fake recorder ended with ${code}`)));
  ended.catch(() => undefined);
  const [port] = await Promise.race([once(lines, "line"), ended]);
  return {
    address: `127.0.0.1:${port}`,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}
