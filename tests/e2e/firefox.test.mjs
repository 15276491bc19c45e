// Firefox and Chromium in one room (Debian's Firefox sends no H.264 here).
// @ts-check
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchFirefox } from "./support/firefox.mjs";
import { startFixture } from "./support/fixture.mjs";
import { hearsAll, keepsMoving, seesExactly } from "./support/people.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture({ system: { args: [] } });
/** @type {any} */
let firefox;
before(async () => {
  firefox = await launchFirefox();
});
after(async () => {
  await firefox?.close();
});
afterEach(closeAll);

for (const codec of ["vp8", "vp9"]) {
  test(`Firefox and Chromium see and hear one another (${codec})`, async () => {
    const red = await open(`firefox-${codec}`, "red", {}, firefox);
    const green = await open(`firefox-${codec}`, "green");
    const blue = await open(`firefox-${codec}`, "blue", {}, firefox);
    for (const page of [red, green, blue]) {
      await page.evaluate(() => window.participant.join());
      await page.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted }), codec);
      await page.evaluate(() => window.participant.publishMicrophone());
    }
    await seesExactly(red, ["green", "blue"]);
    await seesExactly(green, ["red", "blue"]);
    await seesExactly(blue, ["red", "green"]);
    await hearsAll(green, ["red", "blue"]);
    await hearsAll(red, ["green", "blue"]);
    await keepsMoving(green, "red");
    // The pages are tabs of one Firefox, and one behind another is sent no pictures.
    await /** @type {any} */ (red).bringToFront();
    await keepsMoving(red, "green");
  });
}

test("Firefox and Chromium send one another messages, large ones too", async () => {
  const red = await open("firefox-data", "red", {}, firefox);
  const green = await open("firefox-data", "green");
  for (const page of [red, green]) await page.evaluate(() => window.participant.join());
  for (const [from, to] of /** @type {const} */ ([[red, green], [green, red]])) {
    // Until the other's channels are up nothing is kept for it.
    await eventually(
      "a first message",
      async () => {
        await from.evaluate(() => window.participant.publishText("first", { topic: "first", reliable: false }));
        return to.evaluate(() => window.participant.data.length);
      },
      (heard) => heard > 0,
    );
    const sum = await from.evaluate(() => window.participant.publishBytes(256 * 1024, { topic: "large" }));
    const heard = async () => (await to.evaluate(() => window.participant.data)).find((/** @type {any} */ one) => one.topic === "large");
    const large = await eventually("the large message", heard, (message) => message !== undefined);
    assert.deepEqual([large.length, large.sum], [256 * 1024, sum]);
  }
});
