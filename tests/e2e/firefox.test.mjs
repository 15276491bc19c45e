// Firefox and Chromium in one room (Debian's Firefox sends no H.264 here).
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { launchFirefox } from "./support/firefox.mjs";
import { startFixture, withBrowser } from "./support/fixture.mjs";
import { playsAll, keepsMoving, showsExactly } from "./support/cast.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture({ system: { args: [] } });
const firefox = withBrowser(launchFirefox);
afterEach(closeAll);

for (const codec of ["vp8", "vp9"]) {
  test(`Firefox and Chromium receive one another (${codec})`, async () => {
    const red = await open(`firefox-${codec}`, "red", {}, firefox());
    const green = await open(`firefox-${codec}`, "green");
    const blue = await open(`firefox-${codec}`, "blue", {}, firefox());
    for (const page of [red, green, blue]) {
      await page.evaluate(() => window.participant.join());
      await page.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted }), codec);
      await page.evaluate(() => window.participant.publishMicrophone());
    }
    await showsExactly(red, ["green", "blue"]);
    await showsExactly(green, ["red", "blue"]);
    await showsExactly(blue, ["red", "green"]);
    await playsAll(green, ["red", "blue"]);
    await playsAll(red, ["green", "blue"]);
    await keepsMoving(green, "red");
    // The pages are tabs of one Firefox, and a hidden tab receives no video.
    await /** @type {any} */ (red).bringToFront();
    await keepsMoving(red, "green");
  });
}

test("Firefox and Chromium send one another messages, large ones too", async () => {
  const red = await open("firefox-data", "red", {}, firefox());
  const green = await open("firefox-data", "green");
  for (const page of [red, green]) await page.evaluate(() => window.participant.join());
  for (const [from, to] of /** @type {const} */ ([[red, green], [green, red]])) {
    // A message is lost until the other page's channels are open.
    await eventually(
      "a first message",
      async () => {
        await from.evaluate(() => window.participant.publishText("first", { topic: "first", reliable: false }));
        return to.evaluate(() => window.participant.data.length);
      },
      (count) => count > 0,
    );
    const sum = await from.evaluate(() => window.participant.publishBytes(256 * 1024, { topic: "large" }));
    const received = async () => (await to.evaluate(() => window.participant.data)).find((/** @type {any} */ one) => one.topic === "large");
    const large = await eventually("the large message", received, (message) => message !== undefined);
    assert.deepEqual([large.length, large.sum], [256 * 1024, sum]);
  }
});
