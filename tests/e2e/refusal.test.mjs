// What is refused, and how: wrong people, wrong words, too much of them. The call beside it goes on.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { openParticipant } from "./support/participant.mjs";
import { keepsMoving, seesExactly } from "./support/people.mjs";
import { DEV_APP, mintToken } from "./support/token.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, open, closeAll } = startFixture();
afterEach(closeAll);

/** The code with which a join fails. @param {string} token @param {{room?: string, app_id?: string}} [options] */
async function refusedWith(token, { room = "door", app_id = DEV_APP } = {}) {
  const page = await openParticipant(fixture.browser, fixture.origin, fixture.system, { room, identity: "red" }, { token, app_id });
  fixture.pages.push(page);
  return page.evaluate(() => window.participant.join().then(() => "joined", (/** @type {any} */ error) => error.code));
}

test("tokens that are wrong are refused by name", async () => {
  const right = { room: "door", identity: "red" };
  assert.equal(await refusedWith(mintToken(right)), "joined");
  assert.equal(await refusedWith(mintToken({ ...right, expiresInS: -120 })), "TOKEN_EXPIRED");
  assert.equal(await refusedWith(mintToken(right, "another secret that is long enough to be one")), "TOKEN_INVALID");
  assert.equal(await refusedWith(mintToken({ ...right, room: "elsewhere" })), "ROOM_MISMATCH");
  assert.equal(await refusedWith(mintToken({ ...right, issuer: "otherkey" }), { app_id: DEV_APP }), "APP_MISMATCH");
  assert.equal(await refusedWith(mintToken({ ...right, room: "nowhere", grants: { publish: true, subscribe: true } }), { room: "nowhere" }), "ROOM_NOT_FOUND");
});

test("one who may not publish is told so and goes on watching", async () => {
  const red = await open("grants", "red");
  await red.evaluate(() => window.participant.join());
  await red.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  const token = mintToken({ room: "grants", identity: "green", grants: { subscribe: true } });
  const page = await openParticipant(fixture.browser, fixture.origin, fixture.system, { room: "grants", identity: "green" }, { token, app_id: DEV_APP });
  fixture.pages.push(page);
  await page.evaluate(() => window.participant.join());
  const code = await page.evaluate(() => window.participant.publishCamera().then(() => "published", (/** @type {any} */ error) => error.code));
  assert.equal(code, "PERMISSION_DENIED");
  await seesExactly(page, ["red"]);
});

test("malformed and oversized messages end their own session only", async () => {
  const red = await open("garbage", "red");
  const green = await open("garbage", "green");
  await red.evaluate(() => window.participant.join());
  await red.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  await green.evaluate(() => window.participant.join());
  await seesExactly(green, ["red"]);
  /** What the server says to one message of a stranger. @param {string} protocol @param {string} kind */
  const stranger = (protocol, kind) =>
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
    assert.ok([4000, 4008].includes(await stranger(protocol, "garbage")), "garbage is a protocol error");
    assert.equal(await stranger(protocol, "huge"), 1009);
  }
  await keepsMoving(green, "red");
  assert.ok(!fixture.system.log.some((line) => line.includes("Traceback")), "a stranger's bytes raised something");
});

test("the newest session of an identity wins", async () => {
  const first = await open("twice", "red");
  await first.evaluate(() => window.participant.join());
  await first.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  const watcher = await open("twice", "green");
  await watcher.evaluate(() => window.participant.join());
  await seesExactly(watcher, ["red"]);
  const second = await open("twice", "red");
  await second.evaluate(() => window.participant.join());
  await second.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  const over = await eventually("the first session's end", () =>
    first.evaluate(() => window.participant.events.find((/** @type {any} */ event) => event.name === "disconnected")),
  );
  assert.equal(over.value, "replaced");
  await seesExactly(watcher, ["red"]);
  await keepsMoving(watcher, "red");
});

for (const room of [">", "*", "a.b", "room with spaces", "../../etc/passwd", "комната 🎈", "<script>alert(1)</script>"]) {
  test(`a room called ${room} is a room like any other`, async () => {
    const red = await open(room, "red");
    const green = await open(room, "green");
    await red.evaluate(() => window.participant.join());
    await red.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
    await green.evaluate(() => window.participant.join());
    await seesExactly(green, ["red"]);
  });
}
