// Layers of a video in real browsers: which subscriber receives which layer, what is not sent without demand, and how a
// narrow or lossy path to one subscriber affects that one alone. Tests assert layers and that videos keep moving, not times.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { lose, narrow, setRate, widen } from "./support/link.mjs";
import { eventually } from "./support/wait.mjs";

const TOP = 960;
const PATIENCE_MS = 90_000;
const { open, closeAll } = startFixture();
afterEach(async () => {
  await widen();
  await closeAll();
});

/** @typedef {import("./support/participant.mjs").Page} Page */

/** A publisher whose video needs many bits. @param {string} room @param {string} codec */
async function publisher(room, codec, identity = "red") {
  const page = await open(room, identity, { width: TOP, height: 540, busy: true });
  await page.evaluate(() => window.participant.join());
  const published = await page.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted, resolution: "540p", steady: true }), codec);
  assert.equal(published.codec, codec);
  return page;
}

/** A subscriber that shows videos at this size. @param {string} room @param {string} identity @param {number} width */
async function subscriber(room, identity, width, publishers = ["red"]) {
  const page = await open(room, identity);
  await page.evaluate(() => window.participant.join());
  for (const one of publishers) {
    await eventually(`the video of ${one}`, () => page.evaluate((/** @type {string} */ who) => window.participant.watch(who), one));
    await show(page, one, width);
  }
  return page;
}

/** @param {Page} page @param {string} identity @param {number} width */
const show = (page, identity, width) =>
  page.evaluate((/** @type {{who: string, wide: number}} */ { who, wide }) => window.participant.resize(who, wide, (wide * 9) / 16), { who: identity, wide: width });

/** @param {Page} page @param {string} [identity] */
const received = (page, identity = "red") => page.evaluate((/** @type {string} */ who) => window.participant.received(who), identity);

/** Waits until the width of a video is accepted. @param {Page} page @param {string} what @param {(width: number) => boolean} accept */
const widthBecomes = (page, what, accept, identity = "red") =>
  eventually(what, () => received(page, identity), ({ width }) => accept(width), PATIENCE_MS);

/** @param {Page} page */
async function moves(page, identity = "red") {
  const before = await received(page, identity);
  await eventually("new frames", () => received(page, identity), ({ framesDecoded }) => framesDecoded > before.framesDecoded + 10, PATIENCE_MS);
}

/**
 * The decoded frames of a video during an action, and how often the browser counted it as frozen.
 * @param {Page} page @param {() => Promise<unknown>} action
 */
async function during(page, action, identity = "red") {
  const before = await received(page, identity);
  await action();
  const after = await received(page, identity);
  return { frames: after.framesDecoded - before.framesDecoded, freezes: after.freezeCount - before.freezeCount };
}

/** @param {Page} page @returns {Promise<any[]>} */
const sent = (page) => page.evaluate(() => window.participant.sent());

/** @param {Page} page @param {string} what @param {(encodings: any[]) => boolean} accept */
const sends = (page, what, accept) => eventually(what, () => sent(page), accept, PATIENCE_MS);

const isTop = (/** @type {number} */ width) => width > TOP / 2;
const isLower = (/** @type {number} */ width) => width > 0 && width <= TOP / 2;

for (const codec of ["vp8", "h264", "vp9", "av1"]) {
  test(`${codec}: each subscriber receives the layer that fits, and it can change`, async () => {
    const room = `layers-${codec}`;
    const red = await publisher(room, codec);
    const large = await subscriber(room, "green", TOP);
    const small = await subscriber(room, "blue", 160);
    await widthBecomes(large, "the top layer", isTop);
    await widthBecomes(small, "a lower layer", isLower);
    await moves(large);
    await moves(small);
    await show(small, "red", TOP);
    await widthBecomes(small, "the top layer", isTop);
    await moves(small);
    await show(large, "red", 160);
    await widthBecomes(large, "a lower layer", isLower);
    await moves(large);
    const encodings = await sent(red);
    if (codec === "vp8" || codec === "h264") assert.deepEqual(encodings.map(({ rid }) => rid), ["f", "h", "q"]);
    else assert.match(encodings[0].scalabilityMode, /^L[23]T3/);
  });
}

test("a narrow path receives a lower layer and keeps moving, and no other one is affected", async () => {
  const red = await publisher("narrow", "vp8");
  const good = await subscriber("narrow", "green", TOP);
  const poor = await subscriber("narrow", "blue", TOP);
  await widthBecomes(good, "the top layer", isTop);
  await widthBecomes(poor, "the top layer", isTop);
  await moves(good);
  const narrowed = () => during(poor, async () => {
    await narrow([await poor.evaluate(() => window.participant.mediaPort())], 450);
    await widthBecomes(poor, "a lower layer", isLower);
    await moves(poor);
    await moves(poor);
    await moves(poor);
  });
  let ofPoor = { frames: 0, freezes: 0 };
  const ofGood = await during(good, async () => (ofPoor = await narrowed()));
  // It is frozen while the queue empties and the lower layer starts, and not afterwards.
  assert.ok(ofPoor.frames > 30 && ofPoor.freezes <= 10, JSON.stringify(ofPoor));
  // One freeze may be due to a slow machine, on which the publisher's encoder stalls.
  assert.ok(ofGood.frames > ofPoor.frames && ofGood.freezes <= 1, JSON.stringify(ofGood));
  assert.ok(isTop((await received(good)).width));
  await setRate(20_000);
  await widthBecomes(poor, "the top layer again", isTop);
  await moves(poor);
  assert.ok((await sent(red)).every(({ active }) => active !== false));
});

test("a lossy path keeps moving", async () => {
  await publisher("lossy", "vp8");
  const poor = await subscriber("lossy", "blue", TOP);
  await widthBecomes(poor, "a video", (width) => width > 0);
  await lose(await poor.evaluate(() => window.participant.mediaPort()), 0.05);
  const { frames, freezes } = await during(poor, async () => {
    for (let time = 0; time < 10; time += 1) await moves(poor);
  });
  // Every twentieth packet is lost, so nearly every frame needs a retransmission. Few of those arrive too late.
  assert.ok(freezes <= frames / 10, JSON.stringify({ frames, freezes }));
});

test("a pinned video has priority", async () => {
  await publisher("pinned", "vp8", "red");
  await publisher("pinned", "vp8", "yellow");
  const blue = await subscriber("pinned", "blue", TOP, ["red", "yellow"]);
  for (const who of ["red", "yellow"]) await widthBecomes(blue, "the top layer", isTop, who);
  await narrow([await blue.evaluate(() => window.participant.mediaPort())], 700);
  for (const [first = "", second = ""] of [["red", "yellow"], ["yellow", "red"]]) {
    await blue.evaluate((/** @type {{one: string, other: string}} */ { one, other }) => {
      window.participant.pin(one, true);
      window.participant.pin(other, false);
    }, { one: first, other: second });
    await eventually(
      `${first} above ${second}`,
      async () => [await received(blue, first), await received(blue, second)],
      ([one, other]) => one.width > other.width || (other.paused === true && one.paused === false),
      PATIENCE_MS,
    );
    await moves(blue, first);
  }
});

test("encodings without demand are not sent until there is demand again", async () => {
  const red = await publisher("dynacast", "vp8");
  const green = await subscriber("dynacast", "green", 160);
  const active = (/** @type {any[]} */ encodings, /** @type {string} */ rid) => encodings.find((one) => one.rid === rid)?.active;
  await sends(red, "the lowest encoding alone", (now) => active(now, "q") === true && active(now, "h") === false && active(now, "f") === false);
  await moves(green);
  await show(green, "red", TOP);
  await sends(red, "all encodings", (now) => active(now, "f") === true);
  await widthBecomes(green, "the top layer", isTop);
  await show(green, "red", 0);
  await sends(red, "nothing", (now) => now.every((one) => one.active === false));
  await show(green, "red", 160);
  await sends(red, "the lowest encoding", (now) => active(now, "q") === true);
  await moves(green);
});

for (const codec of ["vp9", "av1"]) {
  test(`${codec}: layers of a scalable encoding without demand are not sent until there is demand again`, async () => {
    const room = `dynacast-${codec}`;
    const red = await publisher(room, codec);
    const green = await subscriber(room, "green", TOP);
    await widthBecomes(green, "the top layer", isTop);
    await sends(red, "all layers", ([one]) => isTop(one.width));
    await show(green, "red", 160);
    await sends(red, "lower layers alone", ([one]) => isLower(one.width));
    await widthBecomes(green, "a lower layer", isLower);
    await moves(green);
    await show(green, "red", TOP);
    await sends(red, "all layers again", ([one]) => isTop(one.width));
    await widthBecomes(green, "the top layer again", isTop);
    await moves(green);
    await show(green, "red", 0);
    await sends(red, "nothing", ([one]) => one.active === false);
    await show(green, "red", 160);
    await sends(red, "something", ([one]) => one.active === true);
    await moves(green);
  });
}
