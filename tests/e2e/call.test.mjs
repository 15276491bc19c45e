// Participants in real Chromiums receive one another's video and audio: the main purpose of the system.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture } from "./support/fixture.mjs";
import { playsAll, keepsMoving, CAST, showsExactly } from "./support/cast.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture();
afterEach(closeAll);

/** @param {import("./support/participant.mjs").Page} page @param {{codec?: string, microphone?: boolean}} [options] */
async function joinAndPublish(page, { codec = "vp8", microphone = true } = {}) {
  await page.evaluate(() => window.participant.join());
  const published = await page.evaluate((/** @type {string} */ wanted) => window.participant.publishCamera({ codec: wanted }), codec);
  if (microphone) await page.evaluate(() => window.participant.publishMicrophone());
  return published;
}

for (const wireFormat of /** @type {const} */ (["binary", "json"])) {
  test(`two participants receive one another (${wireFormat} messages)`, async () => {
    const red = await open(`two-${wireFormat}`, "red", { wireFormat });
    const green = await open(`two-${wireFormat}`, "green", { wireFormat });
    await joinAndPublish(red);
    await joinAndPublish(green);
    await showsExactly(red, ["green"]);
    await showsExactly(green, ["red"]);
    await playsAll(red, ["green"]);
    await playsAll(green, ["red"]);
    await keepsMoving(red, "green");
  });
}

for (const codec of ["h264", "vp9", "av1"]) {
  test(`video is sent as ${codec}`, async () => {
    const red = await open(`codec-${codec}`, "red");
    const green = await open(`codec-${codec}`, "green");
    const published = await joinAndPublish(red, { codec, microphone: false });
    assert.equal(published.codec, codec);
    await green.evaluate(() => window.participant.join());
    await showsExactly(green, ["red"]);
    await keepsMoving(green, "red");
  });
}

test("six publishers: slots run out, more are offered, and no media appears under another name", async () => {
  /** @type {import("./support/participant.mjs").Page[]} */
  const pages = [];
  for (const { identity } of CAST) {
    const page = await open("six", identity);
    await joinAndPublish(page);
    pages.push(page);
  }
  for (const [index, page] of pages.entries()) {
    const others = CAST.filter((_one, at) => at !== index).map(({ identity }) => identity);
    await showsExactly(page, others);
    await playsAll(page, others);
  }
  const [first] = pages;
  assert.ok(first);
  // Slots are released and bound to other tracks, repeatedly.
  for (const round of ["green", "blue", "cyan"]) {
    await first.evaluate((/** @type {string} */ who) => window.participant.unwatch(who), round);
    await showsExactly(first, CAST.map(({ identity }) => identity).filter((who) => who !== "red" && who !== round));
    await first.evaluate((/** @type {string} */ who) => window.participant.watch(who), round);
    await showsExactly(first, ["green", "blue", "yellow", "magenta", "cyan"]);
  }
  await playsAll(first, ["green", "blue", "yellow", "magenta", "cyan"]);
});

test("a participant that joins late receives the others; one that leaves disappears from every page", async () => {
  const red = await open("late", "red");
  await joinAndPublish(red);
  const green = await open("late", "green");
  await joinAndPublish(green);
  const blue = await open("late", "blue");
  await blue.evaluate(() => window.participant.join());
  await showsExactly(blue, ["red", "green"]);
  await green.evaluate(() => window.participant.room.leave());
  await showsExactly(blue, ["red"]);
  await showsExactly(red, []);
  const left = await blue.evaluate(() => window.participant.events.find((/** @type {any} */ event) => event.name === "participant-left"));
  assert.equal(left.who, "green");
});

test("muting is reported and silences; unmuting restores the audio", async () => {
  const red = await open("mute", "red");
  const green = await open("mute", "green");
  await joinAndPublish(red);
  await green.evaluate(() => window.participant.join());
  await playsAll(green, ["red"]);
  await red.evaluate(() => window.participant.microphone.setMuted(true));
  await eventually("the event", () => green.evaluate(() => window.participant.remoteTrack("red", "microphone").muted));
  await eventually(
    "silence",
    async () => (await green.evaluate(() => window.participant.tones()))[0]?.hz ?? null,
    (hz) => hz === null,
  );
  await red.evaluate(() => window.participant.microphone.setMuted(false));
  await playsAll(green, ["red"]);
});

test("a screen can be shared beside the camera, and ends", async () => {
  const red = await open("screen", "red");
  const green = await open("screen", "green");
  await joinAndPublish(red, { microphone: false });
  await red.evaluate(() => window.participant.publishScreen());
  await green.evaluate(() => window.participant.join());
  const shownSources = async () =>
    (await green.evaluate(() => window.participant.colors())).filter((/** @type {any} */ tile) => tile.color).map((/** @type {any} */ tile) => tile.source).sort().join();
  await eventually("camera and screen", shownSources, (sources) => sources === "camera,screen");
  await red.evaluate(() => window.participant.room.unpublish(window.participant.screen.video));
  await eventually("the camera alone", shownSources, (sources) => sources === "camera");
});

test("active speakers are reported", async () => {
  const red = await open("speakers", "red");
  const green = await open("speakers", "green", { toneHz: 0 });
  await joinAndPublish(red);
  await joinAndPublish(green);
  await eventually("red to speak", () => green.evaluate(() => window.participant.speakers), (speakers) => speakers?.join() === "red");
});

test("a participant that joins while others speak knows the speakers with the join itself", async () => {
  const red = await open("speaks-already", "red");
  const green = await open("speaks-already", "green", { toneHz: 0 });
  await joinAndPublish(red);
  await joinAndPublish(green);
  await eventually("red to speak", () => green.evaluate(() => window.participant.speakers), (speakers) => speakers?.join() === "red");
  const blue = await open("speaks-already", "blue");
  const known = await blue.evaluate(async () => {
    const page = window.participant;
    await page.join();
    const { room } = page;
    const flags = [...room.participants.values()].filter((one) => one.speaking).map((one) => one.identity);
    return { speakers: room.activeSpeakers.map((/** @type {any} */ one) => one.participant.identity), flags };
  });
  assert.deepEqual(known, { speakers: ["red"], flags: ["red"] });
  // A listener that was added after the join was called as well.
  assert.deepEqual(await blue.evaluate(() => window.participant.speakers), ["red"]);
});

test("flash and beep stay in sync, before and after a rebind", async () => {
  const red = await open("sync", "red", { flash: true, toneHz: 0 });
  const green = await open("sync", "green");
  const blue = await open("sync", "blue", { attach: false });
  await joinAndPublish(red);
  await joinAndPublish(green, { microphone: false });
  await blue.evaluate(() => window.participant.join());
  /** The median of several offsets in ms. A browser adapts audio to video in steps, once a second, so the first do not count. */
  const offset = async () => {
    await eventually("audio and video", () =>
      blue.evaluate(() => {
        const page = window.participant;
        page.watch("red");
        const tile = page.tiles.get(page.remoteTrack("red", "camera").id);
        return tile.element.videoWidth > 2 && page.remoteTrack("red", "microphone").mediaStream !== null;
      }),
    );
    const measured = await blue.evaluate(() => window.participant.measureSync("red", 10));
    const settled = measured.offsets.slice(3).sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
    assert.ok(settled.length >= 5, `too few flashes: ${JSON.stringify(measured)}`);
    return { ms: settled[Math.floor(settled.length / 2)], all: measured.offsets.map(Math.round).join() };
  };
  const before = await offset();
  assert.ok(Math.abs(before.ms) <= 60, `audio is ${before.ms} ms late before the rebind (${before.all})`);
  await blue.evaluate(() => {
    window.participant.unwatch("red");
    window.participant.watch("green");
  });
  await showsExactly(blue, ["green"]);
  await blue.evaluate(() => window.participant.unwatch("green"));
  const after = await offset();
  assert.ok(Math.abs(after.ms) <= 60, `audio is ${after.ms} ms late after the rebind (${after.all})`);
});
