// Chromium plays the segments and files of recordings: every codec and container, sizes that change, turned pictures.
// @ts-check
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { launchChromium } from "./support/chromium.mjs";
import { repository } from "./support/system.mjs";
import { eventually } from "./support/wait.mjs";

/**
 * @typedef {object} Played
 * @property {string} name
 * @property {boolean} ended
 * @property {string} error
 * @property {number} duration in seconds
 * @property {string[]} sizes of the picture as it is shown, in order
 */

const PAGE = `<!doctype html><script>
window.played = [];
for (const name of NAMES) {
  const video = document.createElement("video");
  const one = { name, ended: false, error: "", duration: 0, sizes: [] };
  window.played.push(one);
  video.muted = true;
  const note = () => { if (video.videoWidth > 0) one.sizes.push(video.videoWidth + "x" + video.videoHeight); };
  video.onloadedmetadata = video.onresize = note;
  video.onended = () => { one.ended = true; one.duration = video.duration; };
  video.onerror = () => { one.error = video.error.message || String(video.error.code); };
  video.src = name;
  video.play().catch((error) => { one.error ||= String(error); });
  document.documentElement.append(video);
}
</script>`;

/** @type {string} */
let folder;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Played[]} */
let played;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "recorded-"));
  await promisify(execFile)(join(repository, ".venv/bin/python"), [join(repository, "tests/e2e/support/write_files.py"), folder]);
  const names = (await readdir(folder)).sort();
  await writeFile(join(folder, "page.html"), PAGE.replace("NAMES", JSON.stringify(names)));
  browser = await launchChromium();
  const page = await browser.newPage();
  await page.goto(pathToFileURL(join(folder, "page.html")).href);
  const read = () => page.evaluate(() => /** @type {Played[]} */ (/** @type {any} */ (window).played));
  played = await eventually("the end of every file", read, (all) => all.every((one) => one.ended || one.error !== ""), 120_000);
});

after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

test("every segment and file plays to its end", () => {
  assert.equal(played.length, 22);
  for (const one of played) {
    assert.equal(one.error, "", one.name);
    assert.ok(one.ended, one.name);
    // The last picture of a turned segment is held for a second, which WebM stores only in a finished file.
    const expected = one.name.startsWith("turned-") && one.name.endsWith(".webm") ? 1 : 2;
    assert.ok(Math.abs(one.duration - expected) < 0.1, `${one.name} lasts ${one.duration} s`);
  }
});

test("a size that changes within a file is shown", () => {
  const both = played.filter((one) => one.name.startsWith("both-") || (one.name.startsWith("segment-") && !one.name.includes("opus")));
  assert.equal(both.length, 12);
  for (const one of both) assert.deepEqual([...new Set(one.sizes)], ["160x96", "320x192"], one.name);
});

test("a turned picture is shown upright", () => {
  const turned = played.filter((one) => one.name.startsWith("turned-"));
  assert.equal(turned.length, 6);
  for (const one of turned) assert.deepEqual([...new Set(one.sizes)], ["96x160"], one.name);
});
