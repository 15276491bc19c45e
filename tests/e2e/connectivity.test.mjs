// Networks that block UDP, from the start or from the middle of a call on (RFC 6544, RFC 8445 section 9).
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { block, unblockAll } from "./support/blockade.mjs";
import { startFixture } from "./support/fixture.mjs";
import { keepsMoving, showsExactly } from "./support/cast.mjs";
import { freePort } from "./support/system.mjs";
import { TcpProxy } from "./support/tcp_proxy.mjs";
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
  await showsExactly(red, ["green"]);
  await showsExactly(green, ["red"]);
  return { red, green };
}

/**
 * Frames are decoded continuously, without repeated freezes.
 * @param {import("./support/participant.mjs").Page} page @param {string} identity
 */
async function isDecoded(page, identity) {
  const received = () => page.evaluate((/** @type {string} */ who) => window.participant.received(who), identity);
  const before = await received();
  const after = await eventually(`frames of ${identity}`, received, ({ framesDecoded }) => framesDecoded > before.framesDecoded + 50);
  assert.ok(after.freezeCount - before.freezeCount <= 2, JSON.stringify({ before, after }));
}

/** @param {import("./support/participant.mjs").Page} page @param {"udp" | "tcp"} protocol */
async function uses(page, protocol) {
  await eventually(`media over ${protocol}`, () => page.evaluate(() => window.participant.pathProtocol()), (now) => now === protocol);
}

test("without UDP a call uses TCP", async () => {
  await block("udp", port);
  const { red, green } = await call("no-udp");
  await uses(red, "tcp");
  await uses(green, "tcp");
  await keepsMoving(red, "green");
  await keepsMoving(green, "red");
  await isDecoded(red, "green");
  await isDecoded(green, "red");
});

test("UDP is preferred, and when it fails the call continues over TCP", async () => {
  const { red, green } = await call("udp-dies");
  await uses(red, "udp");
  await block("udp", port);
  await uses(red, "tcp");
  await keepsMoving(red, "green");
  await keepsMoving(green, "red");
  await isDecoded(red, "green");
  await isDecoded(green, "red");
});

test("a path that was blocked completely is restored by an ICE restart, within the same session", async () => {
  const { red, green } = await call("path-gone");
  await block("udp", port);
  await block("tcp", port);
  const state = () => red.evaluate(() => window.participant.room.connectionState);
  await eventually("an interruption", state, (now) => now === "interrupted");
  await unblockAll();
  await eventually("the path to be restored", state, (now) => now === "connected");
  await keepsMoving(red, "green");
  await keepsMoving(green, "red");
  await isDecoded(red, "green");
  await isDecoded(green, "red");
});

test("a page whose WebSocket is cut is informed, and can join again with the same identity", async () => {
  const proxy = await TcpProxy.open(fixture.system.url);
  try {
    const green = await open("socket-cut", "green");
    const red = await open("socket-cut", "red");
    await red.evaluate((/** @type {string} */ url) => (window.participant.options.serverUrl = url), proxy.url);
    const join = async (/** @type {import("./support/participant.mjs").Page} */ page) => {
      const own = await page.evaluate(() => window.participant.join());
      await page.evaluate(() => window.participant.publishCamera());
      return own;
    };
    await join(green);
    const before = await join(red);
    await showsExactly(green, ["red"]);
    proxy.cut();
    assert.equal(await red.evaluate(() => window.participant.room.closed), "signaling-lost");
    await showsExactly(green, []);
    const again = await join(red);
    assert.equal(again.identity, "red");
    assert.notEqual(again.id, before.id);
    await showsExactly(red, ["green"]);
    await showsExactly(green, ["red"]);
    await keepsMoving(green, "red");
  } finally {
    await proxy.close();
  }
});
