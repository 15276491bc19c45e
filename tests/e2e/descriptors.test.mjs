// Dependency descriptors of every codec in a real browser: subscribers that negotiate them receive them, frame numbers are
// continuous whatever layer is shown, and video can be encrypted end to end.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { keepsMoving, showsExactly } from "./support/cast.mjs";
import { startFixture } from "./support/fixture.mjs";
import { eventually } from "./support/wait.mjs";

const TOP = 960;
const PATIENCE_MS = 90_000;
const { open, closeAll } = startFixture();
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */
/** @typedef {{receiver: number, type: string, frameId?: number, dependencies?: number[], temporalIndex?: number, rtpTimestamp: number}} Frame */

/** @param {Page} page @param {string} codec */
async function publish(page, codec) {
  await page.evaluate(() => window.participant.join());
  const published = await page.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted, resolution: "540p", steady: true }), codec);
  assert.equal(published.codec, codec);
}

/** @param {Page} page @param {number} width */
const show = (page, width) => page.evaluate((/** @type {number} */ wide) => window.participant.resize("red", wide, (wide * 9) / 16), width);

/** @param {Page} page @param {string} what @param {(width: number) => boolean} accept */
const widthBecomes = (page, what, accept) =>
  eventually(what, () => page.evaluate(() => window.participant.received("red")), ({ width }) => accept(width), PATIENCE_MS);

/** The faults in the numbers of frames that were received without loss. @param {Frame[]} frames */
function faults(frames) {
  const found = [];
  /** @type {Map<number, number>} */
  const known = new Map();
  let newest = -1;
  for (const { frameId, dependencies = [], type, rtpTimestamp } of frames) {
    if (frameId === undefined) return ["a frame without a descriptor"];
    // Browsers deliver a frame again when all its packets are retransmitted, as for probing.
    if (known.get(frameId) === rtpTimestamp) continue;
    if (frameId <= newest) found.push(`${frameId} behind ${newest}`);
    if (type === "key") known.clear();
    const missing = dependencies.filter((one) => !known.has(one));
    if (missing.length > 0) found.push(`${frameId} needs ${missing.join()}, which was not received`);
    known.set(frameId, rtpTimestamp);
    newest = frameId;
  }
  return found;
}

for (const codec of ["vp8", "h264", "vp9", "av1"]) {
  test(`${codec}: frames keep their numbers and dependencies through changes of layers`, async () => {
    const red = await open(`numbers-${codec}`, "red", { width: TOP, height: 540, busy: true });
    const blue = await open(`numbers-${codec}`, "blue");
    await blue.evaluate(() => window.participant.transformFrames({}));
    await publish(red, codec);
    await blue.evaluate(() => window.participant.join());
    await eventually("the video of red", () => blue.evaluate(() => window.participant.watch("red")));
    /** @type {Frame[]} */
    const frames = [];
    for (const width of [TOP, 160, TOP, 160, TOP]) {
      await show(blue, width);
      await widthBecomes(blue, `video for ${width} pixels`, (now) => (width === TOP ? now > TOP / 2 : now > 0 && now <= TOP / 2));
      const enough = frames.length + 20;
      await eventually(
        "20 frames of this layer",
        async () => frames.push(.../** @type {Frame[]} */ (await blue.evaluate(() => window.participant.takeFrames()))),
        (count) => count >= enough,
        PATIENCE_MS,
      );
    }
    assert.deepEqual(faults(frames), []);
    assert.ok(frames.filter(({ type }) => type === "key").length >= 2);
  });
}

for (const codec of ["vp8", "vp9"]) {
  test(`${codec}: video of which every byte is encrypted is shown to early and late subscribers`, async () => {
    const room = `encrypted-${codec}`;
    const red = await open(room, "red");
    const blue = await open(room, "blue");
    for (const page of [red, blue]) await page.evaluate(() => window.participant.transformFrames({ encrypt: true }));
    await blue.evaluate(() => window.participant.join());
    await publish(red, codec);
    await showsExactly(blue, ["red"]);
    await keepsMoving(blue, "red");
    const late = await open(room, "green");
    await late.evaluate(() => window.participant.transformFrames({ encrypt: true }));
    await late.evaluate(() => window.participant.join());
    await showsExactly(late, ["red"]);
    await keepsMoving(late, "red");
    await keepsMoving(blue, "red");
  });
}

test("a subscriber receives publishers with and without descriptors in turn", async () => {
  const [red, green, blue] = await Promise.all(["red", "green", "blue"].map((who) => open("turns", who, { attach: false })));
  assert.ok(red && green && blue);
  await green.evaluate(() => window.participant.forgetDescriptors());
  await blue.evaluate(() => window.participant.transformFrames({}));
  for (const page of [red, green]) await publish(page, "vp8");
  await blue.evaluate(() => window.participant.join());
  // A track that was never attached is received at a default size. One that was detached is not received.
  for (const who of ["red", "green"]) {
    await eventually(`${who}'s track`, () => blue.evaluate((/** @type {string} */ name) => window.participant.watch(name), who));
    await blue.evaluate((/** @type {string} */ name) => window.participant.unwatch(name), who);
  }
  /** @type {string[]} */
  const described = [];
  for (const who of ["red", "green", "red", "green", "red"]) {
    await eventually(`${who}'s track`, () => blue.evaluate((/** @type {string} */ name) => window.participant.watch(name), who));
    await showsExactly(blue, [who]);
    await blue.evaluate(() => window.participant.takeFrames());
    await keepsMoving(blue, who);
    // Frames of the previous publisher may still arrive for a moment.
    const frames = await eventually(
      `frames of ${who} alone`,
      async () => /** @type {Frame[]} */ (await blue.evaluate(() => window.participant.takeFrames())),
      (some) => some.length >= 3 && new Set(some.map(({ receiver }) => receiver)).size === 1,
      PATIENCE_MS,
    );
    const numbered = frames.filter(({ frameId }) => frameId !== undefined).length;
    described.push(numbered === frames.length ? "described" : numbered === 0 ? "plain" : "mixed");
    await blue.evaluate((/** @type {string} */ name) => window.participant.unwatch(name), who);
  }
  assert.deepEqual(described, ["described", "plain", "described", "plain", "described"]);
});
