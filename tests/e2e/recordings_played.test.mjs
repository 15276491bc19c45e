// The page of recordings with a real recorder: a call is recorded by its button, then listed, played, downloaded and deleted.
// @ts-check
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { showScenery } from "./support/scenery.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, closeAll } = startFixture();
afterEach(closeAll);

/** @param {string} path @param {string} [name] of the participant, who has a camera with a view */
async function open(path, name) {
  const context = await fixture.browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ["camera", "microphone"] });
  const page = await context.newPage();
  fixture.pages.push(page);
  if (name) await page.addInitScript(showScenery, name);
  await page.goto(`${fixture.system.url}${path}`);
  return page;
}

/** @param {import("playwright-core").Page} page @param {string | RegExp} name */
const shows = (page, name) => eventually(`the button ${name}`, () => page.getByRole("button", { name }).count(), (count) => count === 1, 60_000);

/** @param {import("playwright-core").Page} page @param {string} state */
const becomes = (page, state) =>
  eventually(`the state ${state}`, () => page.locator(".recording .chip").allTextContents(), (chips) => chips.join() === state, 90_000);

test("a call that is recorded by its button is played, downloaded and deleted on the page", { timeout: 300_000 }, async () => {
  const ada = await open("/?room=garden&name=Ada&autojoin=1&resolution=360p", "Ada");
  await open("/?room=garden&name=Ben&autojoin=1&resolution=360p", "Ben");
  await shows(ada, /^Record/);
  await ada.getByRole("button", { name: /^Record/ }).click();
  await shows(ada, /^Stop recording/);
  const page = await open("/recordings?room=garden");
  await becomes(page, "● running");
  // Both participants are recorded for at least some seconds.
  await eventually("the recording to grow", () => page.evaluate(() => performance.now()), (ms) => ms > 6_000);
  await ada.getByRole("button", { name: /^Stop recording/ }).click();
  await becomes(page, "completed");

  await page.getByRole("button", { name: "Play and download" }).click();
  const videos = page.locator(".recording video");
  const widths = () => videos.evaluateAll((/** @type {any[]} */ all) => all.map((one) => one.videoWidth));
  // A recording may begin with the lower encoding, until the browser trusts the path.
  await eventually("two videos", widths, (all) => all.length === 2 && all.every((/** @type {number} */ width) => width === 640 || width === 320));
  await videos.evaluateAll((/** @type {any[]} */ all) => Promise.all(all.map((one) => one.play())));
  const positions = () => videos.evaluateAll((/** @type {any[]} */ all) => all.map((one) => one.currentTime));
  await eventually("both videos to play", positions, (all) => all.every((/** @type {number} */ at) => at > 2));
  const folder = process.env["NEXUS_SCREENSHOTS"];
  if (folder) {
    await mkdir(folder, { recursive: true });
    await page.screenshot({ path: join(folder, "recordings.png") });
  }

  const response = page.waitForResponse((/** @type {any} */ one) => one.url().endsWith("/playback"));
  await page.getByRole("button", { name: "Play and download" }).click();
  await page.getByRole("button", { name: "Play and download" }).click();
  const { links } = await (await response).json();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Download/ }).first().click()]);
  const content = await readFile(await download.path());
  assert.equal(createHash("sha256").update(content).digest("hex"), links[0].file.sha256);

  page.once("dialog", (/** @type {any} */ dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Delete" }).click();
  await becomes(page, "");
  for (const { url } of links) assert.equal((await fetch(url)).status, 404, "a deleted file is gone");
});
