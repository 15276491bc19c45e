// Somebody whose browser does not decode what another publishes: it is told why there is no picture, and costs nobody anything.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { keepsMoving, seesExactly } from "./support/people.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture();
afterEach(closeAll);

/** @param {string} room @param {string} codec */
async function publisher(room, codec) {
  const red = await open(room, "red");
  await red.evaluate(() => window.participant.join());
  const published = await red.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted }), codec);
  assert.equal(published.codec, codec);
  return red;
}

/** @param {import("./support/participant.mjs").Page} page */
const pauseOf = (page) =>
  page.evaluate(() => {
    const track = window.participant.remoteTrack("red", "camera");
    const events = window.participant.events.filter((/** @type {any} */ one) => one.name.startsWith("track-")).map((/** @type {any} */ one) => `${one.name} ${one.value ?? ""}`.trim());
    return { paused: track?.paused, reason: track?.pauseReason, codec: track?.codec, events: events.filter((/** @type {string} */ name) => /paused|resumed/.test(name)) };
  });

const WAYS = {
  "codec preferences": ["forgetVideoCodec", "video/"],
  "an edited description": ["cutVideoCodec", ""],
};

for (const codec of ["H264", "VP9", "AV1"]) {
  // One codec is enough for the second way: the server sees the same offer.
  const ways = Object.entries(WAYS).slice(0, codec === "H264" ? 2 : 1);
  for (const [name, [method, prefix]] of ways) {
    test(`a viewer without ${codec} by ${name} is told, and asks for no keyframe`, async () => {
      const room = `without-${codec}-${method}`;
      const red = await publisher(room, codec.toLowerCase());
      const green = await open(room, "green");
      await green.evaluate((/** @type {string[]} */ [how = "", what = ""]) => window.participant[how](what), [method, `${prefix}${codec}`]);
      await green.evaluate(() => window.participant.join());
      const told = await eventually("the reason", () => pauseOf(green), ({ paused }) => paused === true);
      assert.deepEqual(told, { paused: true, reason: "unsupported-codec", codec: codec.toLowerCase(), events: ["track-paused unsupported-codec"] });
      // Nobody watches, so nothing is sent, and no keyframe is asked for.
      await eventually(
        "the publisher to rest",
        () => red.evaluate(() => window.participant.sent()),
        (encodings) => encodings.length > 0 && encodings.every((/** @type {any} */ one) => one.active === false),
      );
      assert.equal(await red.evaluate(() => window.participant.keyframeRequests()), 0);

      // Somebody who can decode it sees it, and the other costs no keyframes meanwhile.
      const blue = await open(room, "blue");
      await blue.evaluate(() => window.participant.join());
      await seesExactly(blue, ["red"]);
      await keepsMoving(blue, "red");
      await seesExactly(green, []);
      assert.deepEqual((await pauseOf(green)).events, told.events);
    });
  }
}

test("the picture comes when the viewer offers the codec, and goes when it does so no longer", async () => {
  const red = await publisher("regained", "vp9");
  const green = await open("regained", "green");
  await green.evaluate(() => window.participant.forgetVideoCodec("video/VP9"));
  await green.evaluate(() => window.participant.join());
  await eventually("the reason", () => pauseOf(green), ({ reason }) => reason === "unsupported-codec");
  await green.evaluate(() => window.participant.reconsiderVideoCodecs());
  // Any re-offer tells the server.
  await green.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  await seesExactly(green, ["red"]);
  await keepsMoving(green, "red");
  assert.deepEqual(await pauseOf(green), { paused: false, reason: null, codec: "vp9", events: ["track-paused unsupported-codec", "track-resumed"] });
  assert.ok((await red.evaluate(() => window.participant.keyframeRequests())) > 0, "a keyframe was asked for");

  await green.evaluate(() => window.participant.reconsiderVideoCodecs("video/VP9"));
  await green.evaluate(() => window.participant.room.unpublish(window.participant.camera));
  await eventually("the reason again", () => pauseOf(green), ({ reason }) => reason === "unsupported-codec");
  await seesExactly(green, []);
  await eventually(
    "the publisher to rest",
    () => red.evaluate(() => window.participant.sent()),
    (encodings) => encodings.every((/** @type {any} */ one) => one.active === false),
  );
});
