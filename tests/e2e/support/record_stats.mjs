// Writes sdks/web/test/recorded: what getStats() of the installed browsers returned in a call of two connections on one page,
// once a second, without addresses. The unit tests of telemetry read these. Run it by hand after a browser has been updated.
// @ts-check
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { launchChromium } from "./chromium.mjs";
import { launchFirefox } from "./firefox.mjs";
import { repository } from "./system.mjs";

const TYPES = [
  "candidate-pair",
  "transport",
  "local-candidate",
  "remote-candidate",
  "inbound-rtp",
  "outbound-rtp",
  "remote-inbound-rtp",
  "media-source",
  "media-playout",
  "codec",
];
const PERSONAL = ["address", "ip", "relatedAddress", "relatedPort", "port", "url", "usernameFragment", "foundation", "networkType"];

/** Runs in the page. @param {{ types: string[], personal: string[], reports: number }} options */
async function call({ types, personal, reports }) {
  const [sender, receiver] = [new RTCPeerConnection(), new RTCPeerConnection()];
  sender.onicecandidate = ({ candidate }) => void receiver.addIceCandidate(candidate ?? undefined);
  receiver.onicecandidate = ({ candidate }) => void sender.addIceCandidate(candidate ?? undefined);
  const audioContext = new AudioContext();
  const tone = audioContext.createOscillator();
  const destination = audioContext.createMediaStreamDestination();
  tone.connect(destination);
  tone.start();
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 360 });
  const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  setInterval(() => {
    paint.fillStyle = `hsl(${Date.now() % 360} 80% 50%)`;
    paint.fillRect(Math.random() * 600, Math.random() * 320, 40, 40);
  }, 33);
  const [video] = canvas.captureStream(30).getVideoTracks();
  const [audio] = destination.stream.getAudioTracks();
  sender.addTransceiver(/** @type {MediaStreamTrack} */ (audio), { direction: "sendonly" });
  sender.addTransceiver(/** @type {MediaStreamTrack} */ (video), { direction: "sendonly" });
  receiver.ontrack = ({ track }) => {
    const element = document.createElement(track.kind);
    Object.assign(element, { muted: true, autoplay: true, srcObject: new MediaStream([track]) });
    document.body.append(element);
  };
  await sender.setLocalDescription();
  await receiver.setRemoteDescription(/** @type {RTCSessionDescription} */ (sender.localDescription));
  await receiver.setLocalDescription();
  await sender.setRemoteDescription(/** @type {RTCSessionDescription} */ (receiver.localDescription));
  const read = async (/** @type {RTCPeerConnection} */ connection) =>
    [...(await connection.getStats()).values()].filter(({ type }) => types.includes(type)).map((entry) => {
      const kept = { ...entry };
      for (const name of personal) delete kept[name];
      return kept;
    });
  const recorded = { sender: /** @type {object[][]} */ ([]), receiver: /** @type {object[][]} */ ([]) };
  for (let report = 0; report < reports; report += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    recorded.sender.push(await read(sender));
    recorded.receiver.push(await read(receiver));
  }
  return recorded;
}

const folder = join(repository, "sdks/web/test/recorded");
mkdirSync(folder, { recursive: true });
for (const [name, launch] of /** @type {const} */ ([["chromium", launchChromium], ["firefox", launchFirefox]])) {
  const browser = await launch();
  // The two drivers have different types for the same call.
  const page = /** @type {any} */ (await browser.newPage());
  const recorded = await page.evaluate(call, { types: TYPES, personal: PERSONAL, reports: 4 });
  await browser.close();
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(recorded)}\n`);
  console.log(name, recorded.receiver[3]?.length);
}
