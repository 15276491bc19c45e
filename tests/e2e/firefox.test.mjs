// Firefox and Chromium in one room (Debian's Firefox sends no H.264 here).
// @ts-check
import { after, afterEach, before, test } from "node:test";

import { launchFirefox } from "./support/firefox.mjs";
import { startFixture } from "./support/fixture.mjs";
import { hearsAll, keepsMoving, seesExactly } from "./support/people.mjs";

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
