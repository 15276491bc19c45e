// Measures what telemetry costs a tab: CPU time of Chromium's renderer with and without it, and bytes a second.
//
// One page has a call with itself, in which one connection receives 8 or 50 tracks of tiny video and audio. Telemetry as the
// SDK computes it (getStats, sample, outbox, message in binary) runs for every second interval of ten, so that both halves
// see the same machine. The renderer's CPU time comes from SystemInfo.getProcessInfo of the DevTools protocol.
// @ts-check
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { build } from "esbuild";

import { launchChromium } from "../tests/e2e/support/chromium.mjs";

const repository = resolve(import.meta.dirname, "..");
const TRACKS = [8, 50];
const ROUNDS = 5;
const INTERVAL_MS = 8_000;

const ENTRY = `
import { measure, NOT_MEASURED } from "./core/telemetry.js";
import { TelemetryOutbox } from "./core/telemetry_outbox.js";
import { encodeBinary } from "./wire/binary.js";
const [outbox, state] = [new TelemetryOutbox(), { before: NOT_MEASURED, ownMs: 0, statsMs: 0, samples: 0, bytes: 0 }];
window.telemetryOnce = async (connection) => {
  const began = performance.now();
  const report = await connection.getStats();
  const got = performance.now();
  const tracks = connection.getTransceivers().map(({ mid }, index) => ({
    id: "TR_" + String(index).padStart(20, "0"), mid, sent: false, codec: "unknown", source: "camera",
    condition: "UNSPECIFIED", rids: [], view: { elementWidth: 320, elementHeight: 180, layerHeights: [] },
  }));
  const { sample, series, next } = measure({ report, atMs: got, tracks, before: state.before, levels: true });
  state.before = next;
  outbox.add({ ...sample, atMs: BigInt(Math.round(got)), wallAtMs: BigInt(Date.now()), events: [] }, series, got);
  for (const value of outbox.unsent()) state.bytes = encodeBinary("ClientMessage", { request: { case: "telemetry", value } }).length;
  state.statsMs += got - began;
  state.ownMs += performance.now() - got;
  state.samples += 1;
};
window.telemetryState = state;
`;

/** Runs in the page: a call in which one connection receives `count` tracks. @param {number} count */
async function call(count) {
  const [sender, receiver] = [new RTCPeerConnection(), new RTCPeerConnection()];
  sender.onicecandidate = ({ candidate }) => void receiver.addIceCandidate(candidate ?? undefined);
  receiver.onicecandidate = ({ candidate }) => void sender.addIceCandidate(candidate ?? undefined);
  const audio = new AudioContext();
  const destination = audio.createMediaStreamDestination();
  const tone = audio.createOscillator();
  tone.connect(destination);
  tone.start();
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
  const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  setInterval(() => {
    paint.fillStyle = `hsl(${Date.now() % 360} 80% 50%)`;
    paint.fillRect(0, 0, 64, 36);
  }, 200);
  const [video] = canvas.captureStream(5).getVideoTracks();
  const [sound] = destination.stream.getAudioTracks();
  for (let index = 0; index < count; index += 1) {
    const track = /** @type {MediaStreamTrack} */ (index % 2 === 0 ? sound : video).clone();
    sender.addTransceiver(track, { direction: "sendonly" });
  }
  receiver.ontrack = ({ track }) => {
    const element = document.createElement(track.kind);
    Object.assign(element, { muted: true, autoplay: true, srcObject: new MediaStream([track]) });
    document.body.append(element);
  };
  await sender.setLocalDescription();
  await receiver.setRemoteDescription(/** @type {RTCSessionDescription} */ (sender.localDescription));
  await receiver.setLocalDescription();
  await sender.setRemoteDescription(/** @type {RTCSessionDescription} */ (receiver.localDescription));
  Object.assign(window, { receiver });
}

const { outputFiles } = await build({
  stdin: { contents: ENTRY, resolveDir: join(repository, "sdks/web/src"), loader: "js" },
  bundle: true,
  minify: true,
  write: false,
  format: "iife",
});
const script = outputFiles[0]?.text ?? "";
const pause = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));
const median = (/** @type {number[]} */ values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** @type {Record<string, object>} */
const results = {};
for (const count of TRACKS) {
  const browser = await launchChromium();
  const page = /** @type {any} */ (await browser.newPage());
  const devtools = await browser.newBrowserCDPSession();
  const cpuMs = async () => {
    const { processInfo } = /** @type {any} */ (await devtools.send("SystemInfo.getProcessInfo"));
    const renderers = processInfo.filter((/** @type {any} */ one) => one.type === "renderer").map((/** @type {any} */ one) => one.cpuTime);
    return 1000 * Math.max(...renderers);
  };
  await page.evaluate(script);
  await page.evaluate(call, count);
  await pause(5_000);
  /** @type {{ on: number[], off: number[] }} */
  const spent = { on: [], off: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const half of /** @type {const} */ (["off", "on"])) {
      if (half === "on") await page.evaluate(() => Object.assign(window, { loop: setInterval(() => /** @type {any} */ (window).telemetryOnce(/** @type {any} */ (window).receiver), 1000) }));
      const before = await cpuMs();
      await pause(INTERVAL_MS);
      spent[half].push(((await cpuMs()) - before) / (INTERVAL_MS / 1000));
      if (half === "on") await page.evaluate(() => clearInterval(/** @type {any} */ (window).loop));
    }
  }
  const state = await page.evaluate(() => {
    const { ownMs, statsMs, samples, bytes } = /** @type {any} */ (window).telemetryState;
    return { ownMs, statsMs, samples, bytes };
  });
  await browser.close();
  results[`${count} tracks`] = {
    cpu_ms_a_second_off: median(spent.off),
    cpu_ms_a_second_on: median(spent.on),
    get_stats_ms: state.statsMs / state.samples,
    own_ms: state.ownMs / state.samples,
    bytes_a_second: state.bytes,
    samples: state.samples,
  };
  console.log(`${count} tracks`, results[`${count} tracks`]);
}
const file = join(repository, "bench/results/telemetry.json");
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
