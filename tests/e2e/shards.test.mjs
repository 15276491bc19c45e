// A room that is spread over two shards of one node is one room: with a share of one, every second person is on the
// other shard, so that all pictures, voices and messages below cross.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { hearsAll, keepsMoving, PEOPLE, seesExactly } from "./support/people.mjs";
import { eventually } from "./support/wait.mjs";

const spread = { NEXUS_SFU_SHARDS: "2", NEXUS_SFU_ROOM_SHARD_PARTICIPANTS: "1" };
const { open, closeAll } = startFixture({ system: { env: spread } });
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */

/** The port of the SFU that this page's media goes to: one for each shard. @param {Page} page @returns {Promise<number>} */
const shardPort = (page) => page.evaluate(() => window.participant.shardPort());

/** @param {Page} page */
async function joinAndPublish(page) {
  await page.evaluate(() => window.participant.join());
  await page.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  await page.evaluate(() => window.participant.publishMicrophone());
}

test("four people on two shards see and hear one another, and one who leaves is gone everywhere", async () => {
  const people = PEOPLE.slice(0, 4).map(({ identity }) => identity);
  /** @type {Page[]} */
  const pages = [];
  for (const identity of people) {
    const page = await open("spread", identity);
    await joinAndPublish(page);
    pages.push(page);
  }
  for (const [index, page] of pages.entries()) {
    const others = people.filter((_one, at) => at !== index);
    await seesExactly(page, others);
    await hearsAll(page, others);
    for (const other of others) await keepsMoving(page, other);
  }
  const ports = new Set(await Promise.all(pages.map(shardPort)));
  assert.equal(ports.size, 2, `all are on the shards of ${[...ports].join()}`);
  const [first, second, ...rest] = pages;
  assert.ok(first && second);
  await second.evaluate(() => window.participant.room.leave());
  for (const page of [first, ...rest]) {
    const own = people[pages.indexOf(page)];
    await seesExactly(page, people.filter((who) => who !== people[1] && who !== own));
  }
});

test("layers are chosen, and encodings stopped, by what is watched on either shard", async () => {
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
    await eventually("red's picture", () => page.evaluate(() => window.participant.watch("red")));
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
