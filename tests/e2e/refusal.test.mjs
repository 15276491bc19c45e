// Rejections of invalid tokens, missing grants, and malformed or oversized messages, while another call continues.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { openParticipant } from "./support/participant.mjs";
import { keepsMoving, showsExactly } from "./support/cast.mjs";
import { DEV_APP, mintToken } from "./support/token.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, open, closeAll } = startFixture();
afterEach(closeAll);

/** The code with which a join fails. @param {string} token @param {{room?: string, app_id?: string}} [options] */
async function codeOf(token, { room = "door", app_id = DEV_APP } = {}) {
  const page = await openParticipant(fixture.browser, fixture.origin, fixture.system, { room, identity: "red" }, { token, app_id });
  fixture.pages.push(page);
  return page.evaluate(() => window.participant.join().then(() => "joined", (/** @type {any} */ error) => error.code));
}

test("invalid tokens are rejected with their codes", async () => {
  const valid = { room: "door", identity: "red" };
  assert.equal(await codeOf(mintToken(valid)), "joined");
  assert.equal(await codeOf(mintToken({ ...valid, expiresInS: -120 })), "TOKEN_EXPIRED");
  assert.equal(await codeOf(mintToken(valid, "another secret that is long enough to be one")), "TOKEN_INVALID");
  assert.equal(await codeOf(mintToken({ ...valid, room: "elsewhere" })), "ROOM_MISMATCH");
  assert.equal(await codeOf(mintToken({ ...valid, issuer: "otherkey" }), { app_id: DEV_APP }), "APP_MISMATCH");
  assert.equal(await codeOf(mintToken({ ...valid, room: "nowhere", grants: { publish: true, subscribe: true } }), { room: "nowhere" }), "ROOM_NOT_FOUND");
});

test("a participant without the grant to publish gets an error and still receives", async () => {
  const red = await open("grants", "red");
  await red.evaluate(() => window.participant.join());
  await red.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  const token = mintToken({ room: "grants", identity: "green", grants: { subscribe: true } });
  const page = await openParticipant(fixture.browser, fixture.origin, fixture.system, { room: "grants", identity: "green" }, { token, app_id: DEV_APP });
  fixture.pages.push(page);
  await page.evaluate(() => window.participant.join());
  const code = await page.evaluate(() => window.participant.publishCamera().then(() => "published", (/** @type {any} */ error) => error.code));
  assert.equal(code, "PERMISSION_DENIED");
  await showsExactly(page, ["red"]);
});

test("malformed and oversized messages end their own session only", async () => {
  const red = await open("garbage", "red");
  const green = await open("garbage", "green");
  await red.evaluate(() => window.participant.join());
  await red.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  await green.evaluate(() => window.participant.join());
  await showsExactly(green, ["red"]);
  /** The close code after one message of another connection. @param {string} protocol @param {string} kind */
  const closeCode = (protocol, kind) =>
    green.evaluate(
      async (/** @type {any} */ { url, protocol, kind }) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/v1/rtc`, protocol);
        await new Promise((done, failed) => {
          socket.onopen = done;
          socket.onerror = () => failed(new Error("refused"));
        });
        /** @type {any} */
        const messages = {
          garbage: protocol === "nexus.v1" ? new Uint8Array([255, 255, 255, 1, 2, 3]) : "{not json",
          huge: protocol === "nexus.v1" ? new Uint8Array(4_000_000) : "x".repeat(4_000_000),
        };
        socket.send(messages[kind]);
        return new Promise((done) => (socket.onclose = (event) => done(event.code)));
      },
      { url: fixture.system.url, protocol, kind },
    );
  for (const protocol of ["nexus.v1", "nexus.v1.json"]) {
    assert.ok([4000, 4008].includes(await closeCode(protocol, "garbage")), "garbage is a protocol error");
    assert.equal(await closeCode(protocol, "huge"), 1009);
  }
  await keepsMoving(green, "red");
  assert.ok(!fixture.system.log.some((line) => line.includes("Traceback")), "invalid bytes caused an exception");
});

test("the newest session of an identity replaces the previous one", async () => {
  const first = await open("twice", "red");
  await first.evaluate(() => window.participant.join());
  await first.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  const subscriber = await open("twice", "green");
  await subscriber.evaluate(() => window.participant.join());
  await showsExactly(subscriber, ["red"]);
  const second = await open("twice", "red");
  await second.evaluate(() => window.participant.join());
  await second.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  const over = await eventually("the first session's end", () =>
    first.evaluate(() => window.participant.events.find((/** @type {any} */ event) => event.name === "disconnected")),
  );
  assert.equal(over.value, "replaced");
  await showsExactly(subscriber, ["red"]);
  await keepsMoving(subscriber, "red");
});

for (const room of [">", "*", "a.b", "room with spaces", "../../etc/passwd", "комната 🎈", "<script>alert(1)</script>"]) {
  test(`a room can have the name ${room}`, async () => {
    const red = await open(room, "red");
    const green = await open(room, "green");
    await red.evaluate(() => window.participant.join());
    await red.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
    await green.evaluate(() => window.participant.join());
    await showsExactly(green, ["red"]);
  });
}
