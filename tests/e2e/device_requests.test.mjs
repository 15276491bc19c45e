// Requests about a camera that nobody awaits, in real browsers whose devices open slowly: the last one wins, the page and
// the others agree, and after leaving no device is open. The same rules as in sdks/web/test/last_request.test.ts.
// @ts-check
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { launchFirefox } from "./support/firefox.mjs";
import { startFixture } from "./support/fixture.mjs";
import { eventually } from "./support/wait.mjs";

const REQUESTS = ["publish", "unpublish", "mute", "unmute", "set-device-a", "leave", "attach", "detach", "hide-tab"];
const HAPPENINGS = ["nothing", "turn", "while", "device-opens"];
/** Random lives for each browser, of so many requests each. */
const LIVES = 12;
const LENGTH = 8;

// Firefox takes no loopback address into ICE.
const { open, closeAll } = startFixture({ system: { args: [] } });
/** @type {any} */
let firefox;
before(async () => {
  firefox = await launchFirefox();
});
after(async () => {
  await firefox?.close();
});
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */
/** A request, and what happens after it. @typedef {[string, string]} Step */

/** What the requests alone say about the end. @param {boolean} published @param {readonly Step[]} steps */
function wantedAfter(published, steps) {
  const wanted = { published, muted: false, deviceId: "default", left: false, attached: false };
  for (const [name] of steps) {
    if (wanted.left) break;
    if (name === "publish" || name === "unpublish") wanted.published = name === "publish";
    if (name === "mute" || name === "unmute") wanted.muted = name === "mute";
    if (name.startsWith("set-device-")) wanted.deviceId = name.slice(-1);
    if (name === "attach" || name === "detach") wanted.attached = name === "attach";
    if (name === "leave") wanted.left = true;
  }
  return wanted;
}

/** Numbers that seem random and are the same for the same seed (mulberry32). @param {number} seed */
function numbers(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One life: `red` makes its requests, `green` is somebody else in the room. @param {Page} red @param {Page} green @param {boolean} published @param {Step[]} steps */
async function live(red, green, published, steps) {
  const told = JSON.stringify({ published, steps });
  const wanted = wantedAfter(published, steps);
  await red.evaluate((/** @type {boolean} */ at) => window.participant.life.begin(at), published);
  await red.evaluate((/** @type {Step[]} */ some) => window.participant.life.live(some), steps);
  const report = await red.evaluate(() => window.participant.life.report());
  const wrong = report.outcomes.filter((/** @type {string} */ one) => !["resolved", "CLOSED", "ABORTED"].includes(one));
  assert.deepEqual(wrong, [], told);
  if (wanted.left) {
    assert.deepEqual([report.connection, report.id], ["closed", null], told);
  } else {
    // The last request has won, here and at the device.
    assert.deepEqual([report.published, report.muted], [wanted.published, wanted.muted], told);
    assert.deepEqual([report.live, report.captures], wanted.muted ? [[], null] : [[wanted.deviceId], wanted.deviceId], told);
    assert.deepEqual(report.sent, wanted.published && !wanted.muted ? ["camera"] : [], told);
    // Others see the same.
    const seen = () =>
      green.evaluate(() => {
        const track = window.participant.remoteTrack("red", "camera");
        return track ? { id: track.id, muted: track.muted } : null;
      });
    const right = wanted.published ? { id: report.id, muted: wanted.muted } : null;
    await eventually(`${JSON.stringify(right)} at the other page after ${told}`, seen, (now) => JSON.stringify(now) === JSON.stringify(right));
    await eventually(`a picture or none after ${told}`, () => red.evaluate(() => window.participant.life.shows()), (shows) => shows === wanted.attached);
  }
  const end = await red.evaluate(() => window.participant.life.end());
  assert.equal(end.left, 0, `devices are open after ${told}`);
  await eventually("red to be gone", () => green.evaluate(() => window.participant.remoteTrack("red", "camera") === undefined));
}

for (const [name, browser] of /** @type {[string, () => any][]} */ ([["Chromium", () => undefined], ["Firefox", () => firefox]])) {
  describe(name, () => {
    /** Somebody who publishes a camera, and the one whose requests are looked at. @param {string} room @returns {Promise<[Page, Page]>} */
    async function pair(room) {
      const green = await open(room, "green", { attach: false });
      await green.evaluate(() => window.participant.join());
      await green.evaluate(() => window.participant.publishCamera({ codec: "vp8", resolution: "180p" }));
      const red = await open(room, "red", { attach: false, width: 320, height: 180 }, browser());
      await red.evaluate(() => {
        for (const [id, color] of [["a", "#102030"], ["b", "#302010"]]) window.participant.media.addCamera(id, { color });
        window.participant.slowDevices();
      });
      return [red, green];
    }

    for (const published of [false, true]) {
      test(`each request after each other one, ${published ? "published" : "not published yet"}`, async () => {
        const [red, green] = await pair(`requests-${name}-${published}`);
        for (const first of REQUESTS) {
          for (const second of REQUESTS) await live(red, green, published, [[first, "nothing"], [second, "while"]]);
        }
      });
    }

    test("many requests", async () => {
      const [red, green] = await pair(`lives-${name}`);
      const all = [...REQUESTS.filter((one) => one !== "leave"), "set-device-b", "show-tab"];
      for (let seed = 1; seed <= LIVES; seed += 1) {
        const next = numbers(seed);
        const steps = Array.from({ length: LENGTH }, () => /** @type {Step} */ ([all[next(all.length)] ?? "", HAPPENINGS[next(HAPPENINGS.length)] ?? ""]));
        if (next(3) === 0) steps.push(["leave", "nothing"]);
        await live(red, green, next(2) === 0, steps);
      }
    });

    test("a device that fails gives the one before back, and one that is held back is muted for others", async () => {
      const [red, green] = await pair(`accidents-${name}`);
      const muted = () => green.evaluate(() => window.participant.remoteTrack("red", "camera")?.muted);
      await red.evaluate(() => window.participant.life.begin(true));
      await eventually("the camera", muted, (now) => now === false);
      const code = await red.evaluate(async () => {
        const { life } = window.participant;
        const changed = life.camera.setDevice("a").then(() => "opened", (/** @type {any} */ error) => error.code);
        life.devices.waiting.shift().fail("NotReadableError");
        while (!life.devices.openNext()) await new Promise((done) => setTimeout(done, 10));
        return changed;
      });
      assert.equal(code, "DEVICE_IN_USE");
      await eventually("the old camera", () => red.evaluate(() => window.participant.life.report().live), (live) => live.join() === "default");
      // Firefox gives made-up events of a track to no listener that was added (its tracks have no document).
      for (const held of name === "Firefox" ? [] : [true, false, true, false]) {
        await red.evaluate((/** @type {boolean} */ value) => window.participant.life.hold(value), held);
        await eventually(`muted ${held}`, muted, (now) => now === held);
      }
      assert.equal(await red.evaluate(() => window.participant.life.camera.muted), false);
      // With nothing left to go back to, others see no frozen picture.
      const lost = await red.evaluate(async () => {
        const { life } = window.participant;
        const failed = new Promise((resolve) => life.camera.on("device-failed", (/** @type {any} */ error) => resolve(error.code)));
        const changed = life.camera.setDevice("a").catch(() => undefined);
        for (let time = 0; time < 2; time += 1) {
          while (life.devices.waiting.length === 0) await new Promise((done) => setTimeout(done, 10));
          life.devices.waiting.shift().fail("NotFoundError");
        }
        await changed;
        return failed;
      });
      assert.equal(lost, "DEVICE_NOT_FOUND");
      await eventually("muted", muted, (now) => now === true);
    });
  });
}
