// Redundant audio (RFC 2198) between real Chromiums, with and without it on either side.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { playsAll } from "./support/cast.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture();
afterEach(closeAll);

/** A speaker and a listener. @param {string} room @param {{red?: boolean, plainListener?: boolean}} [options] */
async function talk(room, { red = true, plainListener = false } = {}) {
  const speaker = await open(room, "red");
  const listener = await open(room, "green");
  await speaker.evaluate(() => window.participant.join());
  await speaker.evaluate((/** @type {boolean} */ wanted) => window.participant.publishMicrophone({ red: wanted }), red);
  if (plainListener) await listener.evaluate(() => window.participant.forgetRedundantAudio());
  await listener.evaluate(() => window.participant.join());
  await playsAll(listener, ["red"]);
  await eventually("a hundred packets of audio", async () => (await audioOf(listener)).received > 100);
  return { speaker: await audioOf(speaker), listener: await audioOf(listener) };
}

/** @param {import("./support/participant.mjs").Page} page */
const audioOf = (page) => page.evaluate(() => window.participant.audio());

// Size of a packet without redundancy: 48 kbit/s in packets of 20 ms are 120 bytes, with redundancy nearly twice as many.
const PLAIN_BYTES = 150;

test("redundant audio is sent by default, forwarded and played", async () => {
  const { speaker, listener } = await talk("redundant");
  assert.equal(speaker.preferred, "audio/red");
  assert.ok(speaker.sentBytes > PLAIN_BYTES, JSON.stringify(speaker));
  assert.ok(listener.receivedBytes > PLAIN_BYTES, JSON.stringify(listener));
});

test("a listener without redundant audio receives plain audio of a sender with it", async () => {
  const { speaker, listener } = await talk("stripped", { plainListener: true });
  assert.equal(speaker.preferred, "audio/red");
  assert.ok(speaker.sentBytes > PLAIN_BYTES, JSON.stringify(speaker));
  assert.ok(listener.receivedBytes < PLAIN_BYTES, JSON.stringify(listener));
});

test("a listener with redundant audio receives a sender without it", async () => {
  const { speaker, listener } = await talk("plain", { red: false });
  assert.equal(speaker.preferred, "audio/opus");
  // No packet is lost, so no redundancy is added.
  assert.ok(listener.receivedBytes < PLAIN_BYTES, JSON.stringify(listener));
});
