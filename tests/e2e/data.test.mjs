// Data messages between real Chromiums, over data channels through the SFU.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { openParticipant } from "./support/participant.mjs";
import { mintToken, DEV_APP } from "./support/token.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, open, closeAll } = startFixture();
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */

/** @param {Page} page @param {(messages: any[]) => boolean} enough @param {string} what */
const receives = (page, enough, what) => eventually(what, () => page.evaluate(() => window.participant.data), enough);

/** @param {Page} page @param {string} text @param {object} [options] */
const sends = (page, text, options) =>
  page.evaluate((/** @type {any} */ { text, options }) => window.participant.publishText(text, options), { text, options });

/** @param {string} room @param {string[]} identities */
async function joined(room, identities) {
  /** @type {Page[]} */
  const pages = [];
  for (const identity of identities) {
    const page = await open(room, identity);
    await page.evaluate(() => window.participant.join());
    pages.push(page);
  }
  // A first message in each direction shows that all channels are open: earlier messages are lost.
  for (const [index, page] of pages.entries()) {
    await eventually(
      `all receive ${identities[index]}`,
      async () => {
        await sends(page, "ready", { topic: `ready-${index}` });
        const heard = await Promise.all(pages.filter((one) => one !== page).map((one) => one.evaluate(() => window.participant.data)));
        return heard.every((messages) => messages.some((/** @type {any} */ one) => one.topic === `ready-${index}`));
      },
      (all) => all,
    );
  }
  return pages;
}

/** @param {any[]} messages */
const real = (messages) => messages.filter(({ topic }) => !topic.startsWith("ready-"));

test("text and bytes reach all participants, in order, under the sender's name", async () => {
  const [red, green, blue] = await joined("data-all", ["red", "green", "blue"]);
  assert.ok(red && green && blue);
  for (let i = 0; i < 20; i += 1) assert.equal(await sends(red, `number ${i}`, { topic: "chat" }), null);
  for (const page of [green, blue]) {
    const heard = real(await receives(page, (messages) => real(messages).length === 20, "twenty messages"));
    assert.deepEqual(heard.map(({ text }) => text), Array.from({ length: 20 }, (_one, index) => `number ${index}`));
    assert.ok(heard.every(({ from, topic, reliable, directed }) => from === "red" && topic === "chat" && reliable && !directed));
  }
  assert.deepEqual(real(await red.evaluate(() => window.participant.data)), []);
});

test("256 KiB arrive complete; more is rejected", async () => {
  const [red, green] = await joined("data-large", ["red", "green"]);
  assert.ok(red && green);
  const sum = await red.evaluate(() => window.participant.publishBytes(256 * 1024, {}));
  const [message] = real(await receives(green, (messages) => real(messages).length === 1, "the large message"));
  assert.deepEqual([message.length, message.sum], [256 * 1024, sum]);
  assert.equal(await sends(red, "x".repeat(256 * 1024 + 1)), "DATA_TOO_LARGE");
});

test("a message to one participant reaches no other one; unreliable messages arrive too", async () => {
  const [red, green, blue] = await joined("data-one", ["red", "green", "blue"]);
  assert.ok(red && green && blue);
  assert.equal(await sends(red, "for blue", { to: "blue" }), null);
  assert.equal(await sends(red, "lost", { to: "magenta" }), "PARTICIPANT_NOT_FOUND");
  const [directed] = real(await receives(blue, (messages) => real(messages).length === 1, "the directed message"));
  assert.deepEqual([directed.text, directed.from, directed.directed], ["for blue", "red", true]);
  assert.equal(await sends(red, "quick", { reliable: false }), null);
  const [quick] = real(await receives(green, (messages) => real(messages).length === 1, "the lossy message"));
  assert.deepEqual([quick.text, quick.reliable], ["quick", false]);
});

test("without the grant nothing is sent, and messages are still received", async () => {
  const room = "data-grant";
  const red = await open(room, "red");
  await red.evaluate(() => window.participant.join());
  const token = mintToken({ room, identity: "green", grants: { create: true, subscribe: true } });
  const green = await openParticipant(fixture.browser, fixture.origin, fixture.system, { room, identity: "green" }, { token, app_id: DEV_APP });
  fixture.pages.push(green);
  await green.evaluate(() => window.participant.join());
  assert.equal(await sends(green, "no"), "PERMISSION_DENIED");
  await eventually(
    "green receives red",
    async () => {
      await sends(red, "yes");
      return (await green.evaluate(() => window.participant.data)).some((/** @type {any} */ one) => one.text === "yes" && one.from === "red");
    },
    (heard) => heard,
  );
  assert.deepEqual(await red.evaluate(() => window.participant.data), []);
});
