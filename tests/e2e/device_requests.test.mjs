// Requests about a camera that are not awaited, in real browsers with slow devices: the last one wins, all pages agree, and
// after leaving no device is open. The invariants are those of sdks/web/test/last_request.test.ts.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { launchFirefox } from "./support/firefox.mjs";
import { startFixture, withBrowser } from "./support/fixture.mjs";
import { eventually } from "./support/wait.mjs";

const REQUESTS = ["publish", "unpublish", "mute", "unmute", "set-device-a", "leave", "attach", "detach", "hide-tab"];
const EVENTS = ["nothing", "turn", "while", "device-opens"];
/** Number of random sequences for each browser, and of requests in each. */
const SEQUENCES = 12;
const LENGTH = 8;

// Firefox uses no loopback address for ICE.
const { open, closeAll } = startFixture({ system: { args: [] } });
const firefox = withBrowser(launchFirefox);
afterEach(closeAll);

/** @typedef {import("./support/participant.mjs").Page} Page */
/** A request, and the event after it. @typedef {[string, string]} Step */

/** The end state according to the requests alone. @param {boolean} published @param {readonly Step[]} steps */
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

/** Pseudo-random numbers, reproducible by seed (mulberry32). @param {number} seed */
function numbers(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Runs a sequence of requests of `red`; `green` is another participant of the room. @param {Page} red @param {Page} green @param {boolean} published @param {Step[]} steps */
async function run(red, green, published, steps) {
  const description = JSON.stringify({ published, steps });
  const wanted = wantedAfter(published, steps);
  await red.evaluate((/** @type {boolean} */ at) => window.participant.scenario.begin(at), published);
  await red.evaluate((/** @type {Step[]} */ some) => window.participant.scenario.run(some), steps);
  const report = await red.evaluate(() => window.participant.scenario.report());
  const unexpected = report.outcomes.filter((/** @type {string} */ one) => !["resolved", "CLOSED", "ABORTED"].includes(one));
  assert.deepEqual(unexpected, [], description);
  if (wanted.left) {
    assert.deepEqual([report.connection, report.id], ["closed", null], description);
  } else {
    // The last request has won, on the page and at the device.
    assert.deepEqual([report.published, report.muted], [wanted.published, wanted.muted], description);
    assert.deepEqual([report.live, report.captures], wanted.muted ? [[], null] : [[wanted.deviceId], wanted.deviceId], description);
    assert.deepEqual(report.sent, wanted.published && !wanted.muted ? ["camera"] : [], description);
    // The other page has the same state.
    const remote = () =>
      green.evaluate(() => {
        const track = window.participant.remoteTrack("red", "camera");
        return track ? { id: track.id, muted: track.muted } : null;
      });
    const expected = wanted.published ? { id: report.id, muted: wanted.muted } : null;
    await eventually(`${JSON.stringify(expected)} on the other page after ${description}`, remote, (now) => JSON.stringify(now) === JSON.stringify(expected));
    await eventually(`a video or none after ${description}`, () => red.evaluate(() => window.participant.scenario.shows()), (shows) => shows === wanted.attached);
  }
  const end = await red.evaluate(() => window.participant.scenario.end());
  assert.equal(end.left, 0, `devices are open after ${description}`);
  await eventually("red to leave", () => green.evaluate(() => window.participant.remoteTrack("red", "camera") === undefined));
}

for (const [name, browser] of /** @type {[string, () => any][]} */ ([["Chromium", () => undefined], ["Firefox", () => firefox()]])) {
  describe(name, () => {
    /** A participant that makes requests, and one that publishes a camera. @param {string} room @returns {Promise<[Page, Page]>} */
    async function pair(room) {
      const green = await open(room, "green", { attach: false });
      await green.evaluate(() => window.participant.join());
      await green.evaluate(() => window.participant.publishCamera({ codec: "vp8", resolution: "180p" }));
      const red = await open(room, "red", { attach: false, width: 320, height: 180 }, browser());
      await red.evaluate(() => {
        for (const [id, color] of [["a", "#102030"], ["b", "#302010"]]) window.participant.media.addCamera(id, { color });
        window.participant.useSlowDevices();
      });
      return [red, green];
    }

    for (const published of [false, true]) {
      test(`each request after each other one, ${published ? "published" : "not published"}`, async () => {
        const [red, green] = await pair(`requests-${name}-${published}`);
        for (const first of REQUESTS) {
          for (const second of REQUESTS) await run(red, green, published, [[first, "nothing"], [second, "while"]]);
        }
      });
    }

    test("random sequences of requests", async () => {
      const [red, green] = await pair(`lives-${name}`);
      const all = [...REQUESTS.filter((one) => one !== "leave"), "set-device-b", "show-tab"];
      for (let seed = 1; seed <= SEQUENCES; seed += 1) {
        const next = numbers(seed);
        const steps = Array.from({ length: LENGTH }, () => /** @type {Step} */ ([all[next(all.length)] ?? "", EVENTS[next(EVENTS.length)] ?? ""]));
        if (next(3) === 0) steps.push(["leave", "nothing"]);
        await run(red, green, next(2) === 0, steps);
      }
    });

    test("a failed device is replaced by the previous one, and an interrupted one is muted for others", async () => {
      const [red, green] = await pair(`accidents-${name}`);
      const muted = () => green.evaluate(() => window.participant.remoteTrack("red", "camera")?.muted);
      await red.evaluate(() => window.participant.scenario.begin(true));
      await eventually("the camera", muted, (now) => now === false);
      const code = await red.evaluate(async () => {
        const { scenario } = window.participant;
        const changed = scenario.camera.setDevice("a").then(() => "opened", (/** @type {any} */ error) => error.code);
        scenario.devices.waiting.shift().fail("NotReadableError");
        while (!scenario.devices.openNext()) await new Promise((done) => setTimeout(done, 10));
        return changed;
      });
      assert.equal(code, "DEVICE_IN_USE");
      await eventually("the previous camera", () => red.evaluate(() => window.participant.scenario.report().live), (live) => live.join() === "default");
      // Firefox delivers no fake events of a track to listeners (its tracks have no document).
      for (const interrupted of name === "Firefox" ? [] : [true, false, true, false]) {
        await red.evaluate((/** @type {boolean} */ value) => window.participant.scenario.interrupt(value), interrupted);
        await eventually(`muted ${interrupted}`, muted, (now) => now === interrupted);
      }
      assert.equal(await red.evaluate(() => window.participant.scenario.camera.muted), false);
      // If no device opens, the track is muted, so that others see no frozen video.
      const lost = await red.evaluate(async () => {
        const { scenario } = window.participant;
        const failed = new Promise((resolve) => scenario.camera.on("device-failed", (/** @type {any} */ error) => resolve(error.code)));
        const changed = scenario.camera.setDevice("a").catch(() => undefined);
        for (let time = 0; time < 2; time += 1) {
          while (scenario.devices.waiting.length === 0) await new Promise((done) => setTimeout(done, 10));
          scenario.devices.waiting.shift().fail("NotFoundError");
        }
        await changed;
        return failed;
      });
      assert.equal(lost, "DEVICE_NOT_FOUND");
      await eventually("muted", muted, (now) => now === true);
    });
  });
}
