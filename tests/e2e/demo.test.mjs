// The demo page, as a user of `make demo` uses it, and the README's program exactly as it is printed.
// @ts-check
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { repository } from "./support/system.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, closeAll } = startFixture();
afterEach(closeAll);

/** Opens the demo and enters a room through its form. @param {string} name @param {{width: number, height: number}} [viewport] */
async function enter(name, viewport = { width: 1280, height: 800 }) {
  const context = await fixture.browser.newContext({ viewport, permissions: ["camera", "microphone"] });
  const page = await context.newPage();
  fixture.pages.push(page);
  await page.goto(`${fixture.system.url}/?room=lobby`);
  await page.getByLabel(/name/i).first().fill(name);
  await page.getByRole("button", { name: /join/i }).click();
  return page;
}

/** Number of remote and local videos that play on this page. @param {import("playwright-core").Page} page */
const playing = (page) =>
  page.evaluate(() => [...document.querySelectorAll("video")].filter((video) => video.srcObject !== null && video.videoWidth > 2 && !video.paused).length);

test("two participants meet on the demo page, on a desktop and on a phone", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob", { width: 360, height: 740 });
  await eventually("two videos on both pages", async () => [await playing(ada), await playing(bob)], ([one = 0, two = 0]) => one >= 2 && two >= 2);
  const folder = process.env["NEXUS_SCREENSHOTS"];
  if (folder) {
    await mkdir(folder, { recursive: true });
    await ada.screenshot({ path: join(folder, "demo-desk.png") });
    await bob.screenshot({ path: join(folder, "demo-phone.png") });
  }
  const overflow = await bob.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "the page scrolls sideways on a phone");
});

test("participants on the demo page send one another messages", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob", { width: 360, height: 740 });
  await eventually("two videos on both pages", async () => [await playing(ada), await playing(bob)], ([one = 0, two = 0]) => one >= 2 && two >= 2);
  await ada.keyboard.press("t");
  await ada.getByRole("textbox", { name: "Message" }).fill("Can you see the slides, Bob? I have just added the latest numbers.");
  await ada.keyboard.press("Enter");
  await eventually("Bob's unread message", () => bob.getByRole("button", { name: /Chat/ }).textContent(), (label) => label?.includes("(1)") === true);
  await bob.getByRole("button", { name: /Chat/ }).click();
  await bob.getByRole("textbox", { name: "Message" }).fill("Yes: they are sharp.");
  await bob.getByRole("button", { name: "Send" }).click();
  await eventually("the answer on Ada's page", () => ada.getByRole("log").textContent(), (text) => text?.includes("Yes: they are sharp.") === true);
  const folder = process.env["NEXUS_SCREENSHOTS"];
  if (folder) {
    await mkdir(folder, { recursive: true });
    await ada.screenshot({ path: join(folder, "chat-desk.png") });
    await bob.screenshot({ path: join(folder, "chat-phone.png") });
  }
  assert.equal(await bob.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
  await ada.keyboard.press("Escape");
  await eventually("the chat to close", () => ada.getByRole("log").count(), (count) => count === 0);
});

test("a pinned video is on the stage, by mouse and by key, until it is unpinned", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob", { width: 360, height: 740 });
  await eventually("two videos on both pages", async () => [await playing(ada), await playing(bob)], ([one = 0, two = 0]) => one >= 2 && two >= 2);
  /** @param {import("playwright-core").Page} page */
  const staged = (page) => page.evaluate(() => document.querySelector(".tile.staged")?.getAttribute("aria-label") ?? null);
  await ada.getByRole("button", { name: "Pin Bob" }).click();
  assert.equal(await staged(ada), "Bob");
  await ada.getByRole("button", { name: "Unpin Bob" }).press("Enter");
  assert.equal(await staged(ada), null);
  await bob.getByRole("button", { name: "Pin Ada" }).press("Enter");
  assert.equal(await staged(bob), "Ada");
  const overflow = await bob.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "the page scrolls sideways on a phone");
  await ada.keyboard.press("i");
  await eventually("a choice of layers", () => ada.locator(".tile select.layers option").count(), (options) => options > 1);
  await eventually("quality badges", () => ada.locator(".tile .badge:visible").count(), (badges) => badges === 2);
});

test("the README's program runs exactly as it stands", async () => {
  const readme = await readFile(join(repository, "README.md"), "utf8");
  const program = readme.match(/```ts\n(import \{ NexusClient \}[\s\S]*?)```/)?.[1];
  assert.ok(program, "the README shows the program");
  /** @type {import("playwright-core").Page[]} */
  const pages = [];
  /** @type {string[]} */
  const errors = [];
  // The application's part. For a page of another origin, the server puts its URL into the token.
  const fetchToken = `async function fetchToken(identity, room) {
    const response = await fetch(${JSON.stringify(`${fixture.system.url}/v1/dev/token`)}, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ room, identity }),
    });
    return (await response.json()).token;
  }`;
  for (const userId of ["ada", "bob"]) {
    const context = await fixture.browser.newContext({ permissions: ["camera", "microphone"] });
    const page = await context.newPage();
    fixture.pages.push(page);
    pages.push(page);
    // An import map resolves the module's name, as a bundler would. The page comes from a real server, because Chromium treats
    // a page of the test harness as one of the public internet, which may not connect to servers on this machine.
    fixture.documents.set(
      `/readme-${userId}.html`,
      `<!doctype html><body><script type="importmap">{"imports":{"@nexus-rtc/web":"/sdk/index.js"}}</script>
<script>const userId = ${JSON.stringify(userId)}, roomId = "readme"; ${fetchToken}</script>
<script type="module">${program.replace("YOUR_APP_ID", "devkey")}</script></body>`,
    );
    page.on("pageerror", (/** @type {Error} */ error) => errors.push(String(error)));
    await page.goto(`${fixture.origin}/readme-${userId}.html`);
  }
  for (const page of pages) await eventually("the other participant's video", () => playing(page), (count) => count === 1);
  assert.deepEqual(errors, []);
});
