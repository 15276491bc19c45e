// A room that is spread over two shards of one node is one room. With one participant per shard, every second participant
// is on the other shard, so that all media below crosses between shards.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { playsAll, keepsMoving, CAST, showsExactly } from "./support/cast.mjs";
import { eventually } from "./support/wait.mjs";

const spread = { NEXUS_SFU_SHARDS: "2", NEXUS_SFU_ROOM_SHARD_PARTICIPANTS: "1" };
const { open, closeAll } = startFixture({ system: { env: spread } });
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */

/** The SFU's port of this page's media path, which identifies the shard. @param {Page} page @returns {Promise<number>} */
const shardPort = (page) => page.evaluate(() => window.participant.shardPort());

/** @param {Page} page */
async function joinAndPublish(page) {
  await page.evaluate(() => window.participant.join());
  await page.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  await page.evaluate(() => window.participant.publishMicrophone());
}

test("four participants on two shards receive one another, and one that leaves disappears everywhere", async () => {
  const identities = CAST.slice(0, 4).map(({ identity }) => identity);
  /** @type {Page[]} */
  const pages = [];
  for (const identity of identities) {
    const page = await open("spread", identity);
    await joinAndPublish(page);
    pages.push(page);
  }
  for (const [index, page] of pages.entries()) {
    const others = identities.filter((_one, at) => at !== index);
    await showsExactly(page, others);
    await playsAll(page, others);
    for (const other of others) await keepsMoving(page, other);
  }
  const ports = new Set(await Promise.all(pages.map(shardPort)));
  assert.equal(ports.size, 2, `all participants are on the shards ${[...ports].join()}`);
  const [first, second, ...rest] = pages;
  assert.ok(first && second);
  await second.evaluate(() => window.participant.room.leave());
  for (const page of [first, ...rest]) {
    const own = identities[pages.indexOf(page)];
    await showsExactly(page, identities.filter((who) => who !== identities[1] && who !== own));
  }
});

test("layers and encodings follow the demand on both shards", async () => {
  const red = await open("spread-layers", "red", { width: 960, height: 540, busy: true });
  await red.evaluate(() => window.participant.join());
  await red.evaluate(() => window.participant.publishCamera({ codec: "vp8", resolution: "540p", steady: true }));
  const green = await open("spread-layers", "green");
  const blue = await open("spread-layers", "blue");
  /** @param {Page} page @param {number} width */
  const show = (page, width) => page.evaluate((/** @type {number} */ wide) => window.participant.resize("red", wide, (wide * 9) / 16), width);
  /** @param {Page} page @param {string} what @param {(width: number) => boolean} accept */
  const widthBecomes = (page, what, accept) =>
    eventually(what, () => page.evaluate(() => window.participant.received("red")), ({ width }) => accept(width), 90_000);
  const active = () => red.evaluate(() => window.participant.sent().then((/** @type {any[]} */ all) => all.filter(({ active: on }) => on).map(({ rid }) => rid).join()));
  for (const page of [green, blue]) {
    await page.evaluate(() => window.participant.join());
    await eventually("the video of red", () => page.evaluate(() => window.participant.watch("red")));
  }
  assert.notEqual(await shardPort(red), await shardPort(green));
  assert.equal(await shardPort(red), await shardPort(blue));
  await show(green, 960);
  await show(blue, 160);
  await widthBecomes(green, "the top layer on the other shard", (width) => width > 480);
  await widthBecomes(blue, "a lower layer", (width) => width > 0 && width <= 480);
  await show(green, 160);
  await eventually("the lowest encoding alone", active, (now) => now === "q", 90_000);
  await show(green, 960);
  await widthBecomes(green, "the top layer again", (width) => width > 480);
  await keepsMoving(green, "red");
});
