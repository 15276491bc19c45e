// A camera is replaced by one with fewer pixels: subscribers receive its full size, and the server gets the new sizes.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { eventually } from "./support/wait.mjs";

const PATIENCE_MS = 90_000;
const { open, closeAll } = startFixture();
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */

/** Waits for video of this size. @param {Page} page @param {string} size @param {string} [identity] */
const receives = (page, size, identity = "red") =>
  eventually(
    `video of ${size}`,
    async () => {
      const { width, height } = await page.evaluate((/** @type {string} */ who) => window.participant.received(who), identity);
      return `${width}x${height}`;
    },
    (received) => received === size,
    PATIENCE_MS,
  );

/** The size and layers of a remote track. @param {Page} page @param {string} [identity] @returns {Promise<string>} */
const layersOf = (page, identity = "red") =>
  page.evaluate((/** @type {string} */ who) => {
    const track = window.participant.remoteTrack(who, "camera");
    return [`${track.width}x${track.height}`, ...track.layers.map((/** @type {any} */ one) => `${one.width}x${one.height}`)].join(" ");
  }, identity);

for (const codec of ["vp8", "h264", "vp9", "av1"]) {
  test(`${codec}: 640 x 480 in place of 1280 x 720 is received at full size, and 1280 x 720 again`, async () => {
    const room = `sizes-${codec}`;
    const red = await open(room, "red", { width: 1280, height: 720 });
    await red.evaluate(() => window.participant.media.addCamera("small", { width: 640, height: 480 }));
    await red.evaluate(() => window.participant.join());
    await red.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted, resolution: "720p", steady: true }), codec);
    const green = await open(room, "green");
    await green.evaluate(() => window.participant.join());
    await eventually("the video", () => green.evaluate(() => window.participant.watch("red")));
    await green.evaluate(() => window.participant.resize("red", 1280, 720));
    await receives(green, "1280x720");
    await red.evaluate(() => window.participant.camera.setDevice("small"));
    await receives(green, "640x480");
    await eventually("the sizes", () => layersOf(green), (layers) => layers === "640x480 320x240 640x480", PATIENCE_MS);
    // The lower layer is available as well.
    await green.evaluate(() => window.participant.resize("red", 320, 240));
    await receives(green, "320x240");
    await red.evaluate(() => window.participant.camera.setDevice("default"));
    await green.evaluate(() => window.participant.resize("red", 1280, 720));
    await receives(green, "1280x720");
    assert.equal(await layersOf(green), "1280x720 320x180 640x360 1280x720");
  });
}
