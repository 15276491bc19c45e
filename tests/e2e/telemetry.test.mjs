// Telemetry of real browsers: what a page sends equals its own getStats(), second by second.
//
// The pages themselves switch it on in the join's answer and keep what they would send, so that the test sees every message,
// whether or not the server stores any.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { launchFirefox } from "./support/firefox.mjs";
import { startFixture, withBrowser } from "./support/fixture.mjs";
import { showsExactly } from "./support/cast.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture({ system: { args: [] } });
const firefox = withBrowser(launchFirefox);
afterEach(closeAll);

/** Runs in the page: keeps telemetry and the reports that it was computed from. */
function tap() {
  /** @type {{ samples: any[], tracks: Record<number, string>, reports: any[] }} */
  const kept = { samples: [], tracks: {}, reports: [] };
  Object.assign(window, { kept });
  const RealSocket = WebSocket;
  window.WebSocket = /** @type {any} */ (
    class extends RealSocket {
      /** @param {any} frame */
      send(frame) {
        const { telemetry } = JSON.parse(frame);
        if (telemetry === undefined) return super.send(frame);
        for (const { number, trackId } of telemetry.series ?? []) kept.tracks[number] = trackId;
        kept.samples.push(...telemetry.samples);
      }
      /** @param {any} type @param {any} listener */
      addEventListener(type, listener) {
        if (type !== "message") return super.addEventListener(type, listener);
        super.addEventListener("message", (/** @type {any} */ event) => {
          const message = JSON.parse(event.data);
          if (message.join !== undefined) message.join.telemetry = "TELEMETRY_LEVEL_ON";
          listener({ data: JSON.stringify(message) });
        });
      }
    }
  );
  const getStats = RTCPeerConnection.prototype.getStats;
  RTCPeerConnection.prototype.getStats = /** @type {any} */ (
    async function (/** @type {any} */ ...given) {
      // @ts-ignore -- `this` is the connection
      const report = await getStats.apply(this, given);
      const received = [...report.values()].filter(({ type }) => type === "inbound-rtp");
      const counted = (/** @type {string} */ kind, /** @type {string} */ name) =>
        received.filter((one) => one.kind === kind).reduce((sum, one) => sum + (one[name] ?? 0), 0);
      kept.reports.push({
        video: counted("video", "packetsReceived"),
        frames: counted("video", "framesDecoded"),
        audio: counted("audio", "packetsReceived"),
        freezes: counted("video", "freezeCount"),
      });
      return report;
    }
  );
}

const sum = (/** @type {any[]} */ list, /** @type {string} */ field) => (list ?? []).reduce((total, one) => total + (one[field] ?? 0), 0);

test("what Chromium and Firefox send equals their own getStats, second by second", async () => {
  const red = await open("telemetry", "red", { wireFormat: "json" }, firefox());
  const green = await open("telemetry", "green", { wireFormat: "json" });
  for (const page of [red, green]) {
    await page.evaluate(tap);
    await page.evaluate(() => window.participant.join());
    await page.evaluate(() => window.participant.publishCamera());
    await page.evaluate(() => window.participant.publishMicrophone());
  }
  await showsExactly(green, ["red"]);
  for (const [name, page] of /** @type {const} */ ([["chromium", green], ["firefox", red]])) {
    if (name === "firefox") await /** @type {any} */ (page).bringToFront();
    // From the second sample on, because the first has no report before it.
    const began = await page.evaluate(() => /** @type {any} */ (window).kept.samples.length + 1);
    const kept = await eventually(
      `six more samples of ${name}`,
      () => page.evaluate(() => ({ ...(/** @type {any} */ (window).kept) })),
      (found) => found.samples.length >= began + 6,
    );
    const measured = kept.samples.filter((/** @type {any} */ one) => one.intervalMs > 0);
    measured.forEach((/** @type {any} */ sample, /** @type {number} */ index) => {
      // Before this, slots may have no track yet.
      if (index < began) return;
      const [before, after] = [kept.reports[index - 1], kept.reports[index]];
      assert.equal(sum(sample.receivedVideo, "packets"), after.video - before.video, `${name}: packets of video ${index}`);
      assert.equal(sum(sample.receivedVideo, "framesDecoded"), after.frames - before.frames, `${name}: frames ${index}`);
      assert.equal(sum(sample.receivedVideo, "freezes"), after.freezes - before.freezes, `${name}: freezes ${index}`);
      assert.equal(sum(sample.receivedAudio, "packets"), after.audio - before.audio, `${name}: packets of audio ${index}`);
      assert.ok(sample.sentVideo?.length === 1 && sample.sentAudio?.length === 1, `${name}: sends two tracks`);
    });
    const steps = kept.samples.flatMap((/** @type {any} */ one) => one.events ?? []).flatMap((/** @type {any} */ one) => one.joinStep?.step ?? []);
    assert.deepEqual(
      [...steps].sort(),
      ["ANSWER", "DTLS", "FIRST_FRAME", "FIRST_PACKET", "ICE", "SOCKET", "TOKEN"].map((step) => `JOIN_STEP_${step}`),
      name,
    );
    assert.deepEqual(kept.samples.map((/** @type {any} */ one) => one.number), kept.samples.map((/** @type {any} */ _, /** @type {number} */ index) => index + 1));
  }
});
