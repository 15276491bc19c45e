// The record button of a call, and the page on which recordings are found, played, downloaded and deleted.
// @ts-check
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";

import { startFakeRecorder } from "./support/fake_recorder.mjs";
import { startFixture } from "./support/fixture.mjs";
import { eventually } from "./support/wait.mjs";

const recorder = await startFakeRecorder();
const { fixture, closeAll } = startFixture({ system: { env: { NEXUS_SIGNALING_RECORDER_ADDRESS: recorder.address }, args: ["--media-address", "127.0.0.1", "--without", "recorder"] } });
afterEach(closeAll);
after(recorder.stop);

/** @param {string} path @param {{width: number, height: number}} [viewport] */
async function open(path, viewport = { width: 1280, height: 800 }) {
  const context = await fixture.browser.newContext({ viewport, permissions: ["camera", "microphone"] });
  const page = await context.newPage();
  fixture.pages.push(page);
  await page.goto(`${fixture.system.url}${path}`);
  return page;
}

/** @param {import("playwright-core").Page} page @param {RegExp} name */
const shows = (page, name) =>
  eventually(`the button ${name}`, () => page.getByRole("button", { name }).count(), (count) => count === 1, 60_000);

/** @param {import("playwright-core").Page} page @param {string} name */
async function screenshot(page, name) {
  const folder = process.env["NEXUS_SCREENSHOTS"];
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** @param {import("playwright-core").Page} page */
const chips = (page) => page.locator(".recording .chip").allTextContents();

/** @param {import("playwright-core").Page} page */
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Starts and stops a recording by the button of a call. @param {string} room */
async function recordIn(room) {
  const page = await open(`/?room=${room}&name=Ada&autojoin=1&camera=0`);
  await shows(page, /^Record/);
  await page.getByRole("button", { name: /^Record/ }).click();
  await shows(page, /^Stop recording/);
  return page;
}

test("a recording is started by the button, followed and changed on the page, played, downloaded and deleted", async () => {
  const call = await recordIn("lesson");
  const page = await open("/recordings?room=lesson");
  await eventually("the running recording", () => chips(page), (found) => found.join() === "● running");
  await page.getByRole("button", { name: "Pause" }).click();
  await eventually("the pause", () => chips(page), (found) => found.join() === "paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await eventually("the end of the pause", () => chips(page), (found) => found.join() === "● running");
  await screenshot(call, "record-button");

  await call.getByRole("button", { name: /^Stop recording/ }).click();
  await shows(call, /^Record/);
  await eventually("the completed recording, without a reload", () => chips(page), (found) => found.join() === "completed");
  assert.match((await page.locator(".recording .facts").first().textContent()) ?? "", /^1:02:03 · 1 file · .* · started by ada-/);

  await page.getByRole("button", { name: "Play and download" }).click();
  const size = await eventually(
    "the video of the store's origin",
    () => page.locator(".recording video").evaluateAll((/** @type {any[]} */ videos) => videos.map((one) => one.videoWidth)),
    ([width]) => (width ?? 0) > 0,
  );
  assert.deepEqual(size, [320]);
  await page.locator(".recording video").evaluate((/** @type {any} */ video) => video.play());
  await eventually("the video to play to its end", () => page.locator("video").evaluate((/** @type {any} */ video) => video.ended), Boolean);
  await screenshot(page, "recordings-desk");

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download ada-camera.webm" }).click()]);
  const content = await readFile(await download.path());
  assert.equal(content.subarray(0, 4).toString("hex"), "1a45dfa3", "the download is a WebM file");

  page.once("dialog", (/** @type {any} */ dialog) => void dialog.dismiss());
  await page.getByRole("button", { name: "Delete" }).click();
  assert.deepEqual(await chips(page), ["completed"]);
  page.once("dialog", (/** @type {any} */ dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Delete" }).click();
  await eventually("the empty list", () => page.getByRole("status").first().textContent(), (text) => text?.includes("no recordings yet") === true);
  assert.deepEqual(await chips(page), []);
});

test("a page has the recordings of its room only, and older ones on request", async () => {
  const call = await recordIn("series");
  for (let count = 1; count < 3; count += 1) {
    await call.getByRole("button", { name: /^Stop recording/ }).click();
    await shows(call, /^Record/);
    await call.keyboard.press("r");
    await shows(call, /^Stop recording/);
  }
  await recordIn("another");
  const page = await open("/recordings", { width: 360, height: 740 });
  await page.getByLabel("Room").fill("series");
  await page.getByRole("button", { name: "Show its recordings" }).click();
  await eventually("the first page", () => chips(page), (found) => found.join() === "● running,completed");
  await page.getByRole("button", { name: "Show older ones" }).click();
  await eventually("all pages", () => chips(page), (found) => found.join() === "● running,completed,completed");
  assert.equal(await page.getByRole("button", { name: "Show older ones" }).count(), 0);
  await page.getByRole("button", { name: "Play and download" }).first().click();
  await eventually("the file", () => page.locator("figure").count(), (count) => count === 1);
  assert.equal(await overflow(page), 0, "the page scrolls sideways on a phone");
  await screenshot(page, "recordings-phone");
});

test("a participant without the grant has no button", async () => {
  const page = await open("/?room=quiet&name=Bob&autojoin=1&camera=0&record=0");
  await shows(page, /^Leave/);
  assert.equal(await page.getByRole("button", { name: /^Record/ }).count(), 0);
});

test("without a recorder there is no button, and the page says what is wrong", async () => {
  await recorder.stop();
  const call = await open("/?room=gone&name=Cat&autojoin=1&camera=0");
  await shows(call, /^Leave/);
  const page = await open("/recordings?room=gone");
  await eventually("the error", () => page.getByRole("status").first().textContent(), (text) => text === "Recordings are not available at the moment. The recorder does not answer.");
  assert.equal(await call.getByRole("button", { name: /^Record/ }).count(), 0);
});
