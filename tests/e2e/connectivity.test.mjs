// Networks that let no UDP through, or stop doing so in the middle of a call (RFC 6544, RFC 8445 section 9).
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { block, unblockAll } from "./support/blockade.mjs";
import { startFixture } from "./support/fixture.mjs";
import { keepsMoving, seesExactly } from "./support/people.mjs";
import { freePort } from "./support/system.mjs";
import { TcpWay } from "./support/tcp_way.mjs";
import { eventually } from "./support/wait.mjs";

const port = await freePort();
const { fixture, open, closeAll } = startFixture({ system: { args: ["--media-address", "127.0.0.1", "--media-port", String(port)] } });
afterEach(async () => {
  await unblockAll();
  await closeAll();
});

/** @param {string} room */
async function call(room) {
  const red = await open(room, "red");
  const green = await open(room, "green");
  for (const page of [red, green]) {
    await page.evaluate(() => window.participant.join());
    await page.evaluate(() => window.participant.publishCamera());
  }
  await seesExactly(red, ["green"]);
  await seesExactly(green, ["red"]);
  return { red, green };
}

/**
 * Frames go on being decoded, and the picture is not again and again frozen.
 * @param {import("./support/participant.mjs").Page} page @param {string} identity
 */
async function isDecoded(page, identity) {
  const received = () => page.evaluate((/** @type {string} */ who) => window.participant.received(who), identity);
  const before = await received();
  const after = await eventually(`frames of ${identity}`, received, ({ framesDecoded }) => framesDecoded > before.framesDecoded + 50);
  assert.ok(after.freezeCount - before.freezeCount <= 2, JSON.stringify({ before, after }));
}

/** @param {import("./support/participant.mjs").Page} page @param {"udp" | "tcp"} protocol */
async function goesBy(page, protocol) {
  await eventually(`media by ${protocol}`, () => page.evaluate(() => window.participant.pathProtocol()), (now) => now === protocol);
}

test("without UDP a call goes by TCP", async () => {
  await block("udp", port);
  const { red, green } = await call("no-udp");
  await goesBy(red, "tcp");
  await goesBy(green, "tcp");
  await keepsMoving(red, "green");
  await keepsMoving(green, "red");
  await isDecoded(red, "green");
  await isDecoded(green, "red");
});

test("UDP is preferred, and where it dies the call goes on by TCP", async () => {
  const { red, green } = await call("udp-dies");
  await goesBy(red, "udp");
  await block("udp", port);
  await goesBy(red, "tcp");
  await keepsMoving(red, "green");
  await keepsMoving(green, "red");
  await isDecoded(red, "green");
  await isDecoded(green, "red");
});

test("a path that is gone altogether comes back by an ICE restart, within the same session", async () => {
  const { red, green } = await call("path-gone");
  await block("udp", port);
  await block("tcp", port);
  const state = () => red.evaluate(() => window.participant.room.connectionState);
  await eventually("an interruption", state, (now) => now === "interrupted");
  await unblockAll();
  await eventually("the path to come back", state, (now) => now === "connected");
  await keepsMoving(red, "green");
  await keepsMoving(green, "red");
  await isDecoded(red, "green");
  await isDecoded(green, "red");
});

test("a page whose WebSocket is cut learns it, and can join again in its own name", async () => {
  const way = await TcpWay.open(fixture.system.url);
  try {
    const green = await open("socket-cut", "green");
    const red = await open("socket-cut", "red");
    await red.evaluate((/** @type {string} */ url) => (window.participant.options.serverUrl = url), way.url);
    const join = async (/** @type {import("./support/participant.mjs").Page} */ page) => {
      const own = await page.evaluate(() => window.participant.join());
      await page.evaluate(() => window.participant.publishCamera());
      return own;
    };
    await join(green);
    const before = await join(red);
    await seesExactly(green, ["red"]);
    way.cut();
    assert.equal(await red.evaluate(() => window.participant.room.closed), "signaling-lost");
    await seesExactly(green, []);
    const again = await join(red);
    assert.equal(again.identity, "red");
    assert.notEqual(again.id, before.id);
    await seesExactly(red, ["green"]);
    await seesExactly(green, ["red"]);
    await keepsMoving(green, "red");
  } finally {
    await way.close();
  }
});
