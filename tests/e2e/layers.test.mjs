// Several qualities of one picture, in real browsers: who gets which, what is not sent because nobody watches it, and
// what a narrow or lossy way to one subscriber does to that one alone. Layers are asserted and that pictures keep
// moving, never times.
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

/** A publisher whose picture needs many bits. @param {string} room @param {string} codec */
async function publisher(room, codec, identity = "red") {
  const page = await open(room, identity, { width: TOP, height: 540, busy: true });
  await page.evaluate(() => window.participant.join());
  const published = await page.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted, resolution: "540p", steady: true }), codec);
  assert.equal(published.codec, codec);
  return page;
}

/** Somebody who watches at this size. @param {string} room @param {string} identity @param {number} width */
async function watcher(room, identity, width, publishers = ["red"]) {
  const page = await open(room, identity);
  await page.evaluate(() => window.participant.join());
  for (const one of publishers) {
    await eventually(`${one}'s picture`, () => page.evaluate((/** @type {string} */ who) => window.participant.watch(who), one));
    await show(page, one, width);
  }
  return page;
}

/** @param {Page} page @param {string} identity @param {number} width */
const show = (page, identity, width) =>
  page.evaluate((/** @type {{who: string, wide: number}} */ { who, wide }) => window.participant.resize(who, wide, (wide * 9) / 16), { who: identity, wide: width });

/** @param {Page} page @param {string} [identity] */
const received = (page, identity = "red") => page.evaluate((/** @type {string} */ who) => window.participant.received(who), identity);

/** Waits for a picture of such a width. @param {Page} page @param {string} what @param {(width: number) => boolean} accept */
const widthBecomes = (page, what, accept, identity = "red") =>
  eventually(what, () => received(page, identity), ({ width }) => accept(width), PATIENCE_MS);

/** @param {Page} page */
async function moves(page, identity = "red") {
  const before = await received(page, identity);
  await eventually("new frames", () => received(page, identity), ({ framesDecoded }) => framesDecoded > before.framesDecoded + 10, PATIENCE_MS);
}

/**
 * What a picture did while something went on: frames that were decoded, and how often it stood still so that the browser calls it frozen.
 * @param {Page} page @param {() => Promise<unknown>} something
 */
async function during(page, something, identity = "red") {
  const before = await received(page, identity);
  await something();
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
  test(`${codec}: everybody gets the layer that fits, and it can change`, async () => {
    const room = `layers-${codec}`;
    const red = await publisher(room, codec);
    const large = await watcher(room, "green", TOP);
    const small = await watcher(room, "blue", 160);
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

test("a narrow way gets a lower layer and keeps moving, and nobody else notices", async () => {
  const red = await publisher("narrow", "vp8");
  const good = await watcher("narrow", "green", TOP);
  const poor = await watcher("narrow", "blue", TOP);
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
  // It stands still while the queue in front of it empties and the lower layer comes, not for the rest of the time.
  assert.ok(ofPoor.frames > 30 && ofPoor.freezes <= 10, JSON.stringify(ofPoor));
  // Once the machine itself may have stood still, and the publisher's encoder with it.
  assert.ok(ofGood.frames > ofPoor.frames && ofGood.freezes <= 1, JSON.stringify(ofGood));
  assert.ok(isTop((await received(good)).width));
  await setRate(20_000);
  await widthBecomes(poor, "the top layer again", isTop);
  await moves(poor);
  assert.ok((await sent(red)).every(({ active }) => active !== false));
});

test("a lossy way keeps moving", async () => {
  await publisher("lossy", "vp8");
  const poor = await watcher("lossy", "blue", TOP);
  await widthBecomes(poor, "a picture", (width) => width > 0);
  await lose(await poor.evaluate(() => window.participant.mediaPort()), 0.05);
  const { frames, freezes } = await during(poor, async () => {
    for (let time = 0; time < 10; time += 1) await moves(poor);
  });
  // Every twentieth packet is gone, so nearly every frame has needed one again; few of them so late that it shows.
  assert.ok(freezes <= frames / 10, JSON.stringify({ frames, freezes }));
});

test("a pinned picture is served first", async () => {
  await publisher("pinned", "vp8", "red");
  await publisher("pinned", "vp8", "yellow");
  const blue = await watcher("pinned", "blue", TOP, ["red", "yellow"]);
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

test("encodings that nobody watches are not sent, and are sent again", async () => {
  const red = await publisher("dynacast", "vp8");
  const green = await watcher("dynacast", "green", 160);
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
  test(`${codec}: layers of a scalable encoding that nobody watches are not sent, and are sent again`, async () => {
    const room = `dynacast-${codec}`;
    const red = await publisher(room, codec);
    const green = await watcher(room, "green", TOP);
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
