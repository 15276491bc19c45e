// A participant whose browser does not decode a publisher's codec: it gets the reason, and the others are not affected.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { keepsMoving, showsExactly } from "./support/cast.mjs";
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
  // One codec is enough for the second way, because the server receives the same offer.
  const ways = Object.entries(WAYS).slice(0, codec === "H264" ? 2 : 1);
  for (const [name, [method, prefix]] of ways) {
    test(`a subscriber without ${codec} by ${name} gets the reason, and requests no keyframe`, async () => {
      const room = `without-${codec}-${method}`;
      const red = await publisher(room, codec.toLowerCase());
      const green = await open(room, "green");
      await green.evaluate((/** @type {string[]} */ [how = "", what = ""]) => window.participant[how](what), [method, `${prefix}${codec}`]);
      await green.evaluate(() => window.participant.join());
      const pause = await eventually("the reason", () => pauseOf(green), ({ paused }) => paused === true);
      assert.deepEqual(pause, { paused: true, reason: "unsupported-codec", codec: codec.toLowerCase(), events: ["track-paused unsupported-codec"] });
      // There is no demand, so nothing is sent and no keyframe is requested.
      await eventually(
        "the publisher to stop sending",
        () => red.evaluate(() => window.participant.sent()),
        (encodings) => encodings.length > 0 && encodings.every((/** @type {any} */ one) => one.active === false),
      );
      assert.equal(await red.evaluate(() => window.participant.keyframeRequests()), 0);

      // A subscriber that decodes it receives it, and the other one requests no keyframes in the meantime.
      const blue = await open(room, "blue");
      await blue.evaluate(() => window.participant.join());
      await showsExactly(blue, ["red"]);
      await keepsMoving(blue, "red");
      await showsExactly(green, []);
      assert.deepEqual((await pauseOf(green)).events, pause.events);
    });
  }
}

test("the video is sent when the subscriber offers the codec, and no longer when it does not", async () => {
  const red = await publisher("regained", "vp9");
  const green = await open("regained", "green");
  await green.evaluate(() => window.participant.forgetVideoCodec("video/VP9"));
  await green.evaluate(() => window.participant.join());
  await eventually("the reason", () => pauseOf(green), ({ reason }) => reason === "unsupported-codec");
  await green.evaluate(() => window.participant.reconsiderVideoCodecs());
  // Any re-offer informs the server.
  await green.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  await showsExactly(green, ["red"]);
  await keepsMoving(green, "red");
  assert.deepEqual(await pauseOf(green), { paused: false, reason: null, codec: "vp9", events: ["track-paused unsupported-codec", "track-resumed"] });
  assert.ok((await red.evaluate(() => window.participant.keyframeRequests())) > 0, "no keyframe was requested");

  await green.evaluate(() => window.participant.reconsiderVideoCodecs("video/VP9"));
  await green.evaluate(() => window.participant.room.unpublish(window.participant.camera));
  await eventually("the reason again", () => pauseOf(green), ({ reason }) => reason === "unsupported-codec");
  await showsExactly(green, []);
  await eventually(
    "the publisher to stop sending",
    () => red.evaluate(() => window.participant.sent()),
    (encodings) => encodings.every((/** @type {any} */ one) => one.active === false),
  );
});
