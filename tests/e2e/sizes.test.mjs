// A camera is exchanged for one with fewer pixels: viewers see the whole of it, and the server knows the new sizes.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { eventually } from "./support/wait.mjs";

const PATIENCE_MS = 90_000;
const { open, closeAll } = startFixture();
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */

/** Waits for pictures of such a size. @param {Page} page @param {string} size @param {string} [identity] */
const sees = (page, size, identity = "red") =>
  eventually(
    `pictures of ${size}`,
    async () => {
      const { width, height } = await page.evaluate((/** @type {string} */ who) => window.participant.received(who), identity);
      return `${width}x${height}`;
    },
    (seen) => seen === size,
    PATIENCE_MS,
  );

/** The layers that a viewer is told of. @param {Page} page @param {string} [identity] @returns {Promise<string>} */
const toldLayers = (page, identity = "red") =>
  page.evaluate((/** @type {string} */ who) => {
    const track = window.participant.remoteTrack(who, "camera");
    return [`${track.width}x${track.height}`, ...track.layers.map((/** @type {any} */ one) => `${one.width}x${one.height}`)].join(" ");
  }, identity);

for (const codec of ["vp8", "h264", "vp9", "av1"]) {
  test(`${codec}: 640 x 480 instead of 1280 x 720 is seen whole, and 1280 x 720 again`, async () => {
    const room = `sizes-${codec}`;
    const red = await open(room, "red", { width: 1280, height: 720 });
    await red.evaluate(() => window.participant.media.addCamera("small", { width: 640, height: 480 }));
    await red.evaluate(() => window.participant.join());
    await red.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted, resolution: "720p", steady: true }), codec);
    const green = await open(room, "green");
    await green.evaluate(() => window.participant.join());
    await eventually("the picture", () => green.evaluate(() => window.participant.watch("red")));
    await green.evaluate(() => window.participant.resize("red", 1280, 720));
    await sees(green, "1280x720");
    await red.evaluate(() => window.participant.camera.setDevice("small"));
    await sees(green, "640x480");
    await eventually("the sizes", () => toldLayers(green), (told) => told === "640x480 320x240 640x480", PATIENCE_MS);
    // The lower layer is there as well.
    await green.evaluate(() => window.participant.resize("red", 320, 240));
    await sees(green, "320x240");
    await red.evaluate(() => window.participant.camera.setDevice("default"));
    await green.evaluate(() => window.participant.resize("red", 1280, 720));
    await sees(green, "1280x720");
    assert.equal(await toldLayers(green), "1280x720 320x180 640x360 1280x720");
  });
}
