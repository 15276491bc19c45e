// How long from `join()` (camera already open) to the first remote video frame in a real Chromium.
//
//   node bench/join.mjs [--joins 20] [--codec vp8] [--out bench/results/join.json]
//
// One page publishes; another joins, waits for the first `requestVideoFrameCallback` of the publisher's video, and
// leaves, again and again. Everything runs on this machine, so the result contains no round trip of a network.
// @ts-check
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";

import { launchChromium } from "../tests/e2e/support/chromium.mjs";
import { openParticipant } from "../tests/e2e/support/participant.mjs";
import { servePages } from "../tests/e2e/support/page_server.mjs";
import { System } from "../tests/e2e/support/system.mjs";

const { values } = parseArgs({
  options: {
    joins: { type: "string", default: "20" },
    codec: { type: "string", default: "vp8" },
    out: { type: "string", default: "bench/results/join.json" },
  },
});
const joins = Number(values.joins);
const loadBefore = loadavg()[0];

/** @param {number[]} sorted @param {number} share */
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;

const system = await System.start();
const pages = await servePages();
const browser = await launchChromium();
try {
  const publisher = await openParticipant(browser, pages.origin, system, { room: "bench", identity: "publisher", color: "#2060c0" });
  await publisher.evaluate(async (/** @type {string | undefined} */ codec) => {
    await window.participant.join();
    await window.participant.publishCamera({ codec });
  }, values.codec);

  const joiner = await openParticipant(browser, pages.origin, system, { room: "bench", identity: "joiner", color: "#c06020" });
  await joiner.evaluate(() => window.participant.openCamera());
  /** @type {{total_ms: number, joined_ms: number}[]} */
  const samples = [];
  for (let index = 0; index < joins; index += 1) {
    const sample = await joiner.evaluate(() => window.participant.measureJoin());
    samples.push(sample);
    process.stdout.write(`join ${index + 1}/${joins}: answer ${sample.joined_ms.toFixed(0)} ms, picture ${sample.total_ms.toFixed(0)} ms\n`);
  }
  const totals = samples.map((sample) => sample.total_ms).sort((a, b) => a - b);
  const answers = samples.map((sample) => sample.joined_ms).sort((a, b) => a - b);
  const result = {
    bench: "join",
    at: new Date().toISOString(),
    machine: { cpu: cpus()[0]?.model ?? "", cores: cpus().length, load_before: loadBefore },
    browser: `Chromium ${browser.version()}`,
    codec: values.codec,
    joins,
    first_frame_ms: { p50: quantile(totals, 0.5), p95: quantile(totals, 0.95) },
    join_answer_ms: { p50: quantile(answers, 0.5), p95: quantile(answers, 0.95) },
    samples,
  };
  await mkdir(dirname(values.out), { recursive: true });
  await writeFile(values.out, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`first frame: p50 ${result.first_frame_ms.p50.toFixed(0)} ms, p95 ${result.first_frame_ms.p95.toFixed(0)} ms`);
} finally {
  await browser.close();
  await pages.close();
  await system.stop();
}
