// The demo page, as somebody who has just run `make demo` uses it; and the README's program, exactly as it stands there.
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

/** How many remote or local pictures move on this page. @param {import("playwright-core").Page} page */
const moving = (page) =>
  page.evaluate(() => [...document.querySelectorAll("video")].filter((video) => video.srcObject !== null && video.videoWidth > 2 && !video.paused).length);

test("two people meet on the demo page, on a desk and on a phone", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob", { width: 360, height: 740 });
  await eventually("both to see two pictures", async () => [await moving(ada), await moving(bob)], ([one = 0, two = 0]) => one >= 2 && two >= 2);
  const folder = process.env["NEXUS_SCREENSHOTS"];
  if (folder) {
    await mkdir(folder, { recursive: true });
    await ada.screenshot({ path: join(folder, "demo-desk.png") });
    await bob.screenshot({ path: join(folder, "demo-phone.png") });
  }
  const overflow = await bob.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "the page scrolls sideways on a phone");
});

test("the README's program runs exactly as it stands", async () => {
  const readme = await readFile(join(repository, "README.md"), "utf8");
  const program = readme.match(/```ts\n(import \{ NexusClient \}[\s\S]*?)```/)?.[1];
  assert.ok(program, "the README shows the program");
  /** @type {import("playwright-core").Page[]} */
  const pages = [];
  for (const userId of ["ada", "bob"]) {
    const { token, app_id } = await fixture.system.token("readme", userId, { url: fixture.system.url });
    const context = await fixture.browser.newContext({ permissions: ["camera", "microphone"] });
    const page = await context.newPage();
    fixture.pages.push(page);
    pages.push(page);
    // A page of the demo's own origin; the module name is resolved as a bundler or an import map would.
    await page.route(`${fixture.origin}/readme.html`, (/** @type {import("playwright-core").Route} */ route) =>
      route.fulfill({
        contentType: "text/html",
        body: `<!doctype html><body><script type="importmap">{"imports":{"@nexus-rtc/web":"/sdk/index.js"}}</script>
<script>const userId = ${JSON.stringify(userId)}, roomId = "readme"; const fetchToken = async () => ${JSON.stringify(token)};</script>
<script type="module">${program.replace("YOUR_APP_ID", app_id)}</script></body>`,
      }),
    );
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (/** @type {Error} */ error) => errors.push(String(error)));
    await page.goto(`${fixture.origin}/readme.html`);
    assert.deepEqual(errors, []);
  }
  for (const page of pages) await eventually("the other's picture", () => moving(page), (count) => count === 1);
});
