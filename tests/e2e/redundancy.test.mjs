// Redundant audio (RFC 2198) between real Chromiums, with and without it on either side.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { hearsAll } from "./support/people.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture();
afterEach(closeAll);

/** One who speaks and one who listens. @param {string} room @param {{red?: boolean, plainListener?: boolean}} [options] */
async function talk(room, { red = true, plainListener = false } = {}) {
  const speaker = await open(room, "red");
  const listener = await open(room, "green");
  await speaker.evaluate(() => window.participant.join());
  await speaker.evaluate((/** @type {boolean} */ wanted) => window.participant.publishMicrophone({ red: wanted }), red);
  if (plainListener) await listener.evaluate(() => window.participant.forgetRedundantAudio());
  await listener.evaluate(() => window.participant.join());
  await hearsAll(listener, ["red"]);
  await eventually("a hundred packets of sound", async () => (await soundOf(listener)).received > 100);
  return { speaker: await soundOf(speaker), listener: await soundOf(listener) };
}

/** @param {import("./support/participant.mjs").Page} page */
const soundOf = (page) => page.evaluate(() => window.participant.sound());

// 48 kbit/s in packets of 20 ms are 120 bytes; with the packet before it in front nearly twice as many.
const PLAIN_BYTES = 150;

test("redundant audio is sent by default, passed on and heard", async () => {
  const { speaker, listener } = await talk("redundant");
  assert.equal(speaker.preferred, "audio/red");
  assert.ok(speaker.sentBytes > PLAIN_BYTES, JSON.stringify(speaker));
  assert.ok(listener.receivedBytes > PLAIN_BYTES, JSON.stringify(listener));
});

test("who has no redundant audio hears who sends it", async () => {
  const { speaker, listener } = await talk("stripped", { plainListener: true });
  assert.equal(speaker.preferred, "audio/red");
  assert.ok(speaker.sentBytes > PLAIN_BYTES, JSON.stringify(speaker));
  assert.ok(listener.receivedBytes < PLAIN_BYTES, JSON.stringify(listener));
});

test("a microphone without redundancy is heard by who has it", async () => {
  const { speaker, listener } = await talk("plain", { red: false });
  assert.equal(speaker.preferred, "audio/opus");
  // Nothing is lost, so nothing is added.
  assert.ok(listener.receivedBytes < PLAIN_BYTES, JSON.stringify(listener));
});
