// The demo shows every participant that the call is recorded: at once, and after a rejoin.
// @ts-check
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { promisify } from "node:util";

import { startFixture } from "./support/fixture.mjs";
import { repository } from "./support/system.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, closeAll } = startFixture({ system: { env: { NEXUS_LOG_FORMAT: "json" } } });
afterEach(closeAll);

/** Sets the room's state as a recorder does, by a call to the SFU. */
const UPDATE_ROOM = `
import asyncio, json, sys
import grpc
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc

async def main(address, flags):
    async with grpc.aio.insecure_channel(address) as channel:
        room = sfu_pb2.RoomKey(app="devkey", room="lobby")
        await sfu_pb2_grpc.SfuServiceStub(channel).UpdateRoom(sfu_pb2.UpdateRoomRequest(room=room, **flags))

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
`;

/** @param {{recording?: boolean, transcribing?: boolean}} flags */
async function updateRoom(flags) {
  const line = fixture.system.log.find((one) => one.includes('"grpc_port"'));
  assert.ok(line, "the log names the SFU's gRPC port");
  const { grpc_port: port } = JSON.parse(line.slice(line.indexOf("{")));
  await promisify(execFile)(join(repository, ".venv/bin/python"), ["-c", UPDATE_ROOM, `127.0.0.1:${port}`, JSON.stringify(flags)]);
}

/** @param {string} name @param {{width: number, height: number}} [viewport] */
async function enter(name, viewport = { width: 1280, height: 800 }) {
  const context = await fixture.browser.newContext({ viewport, permissions: ["camera", "microphone"] });
  const page = await context.newPage();
  fixture.pages.push(page);
  await page.goto(`${fixture.system.url}/?room=lobby&name=${name}&autojoin=1&camera=0`);
  await inCall(page);
  return page;
}

/** @param {import("playwright-core").Page} page */
const inCall = (page) => eventually("the call", () => page.getByRole("button", { name: "Leave" }).count(), (count) => count === 1, 120_000);

/** What the header of the call says about the room. @param {import("playwright-core").Page} page */
const activity = (page) => page.locator(".bar .activity").textContent();

test("every participant sees that the call is recorded, at once and after a rejoin", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob", { width: 360, height: 740 });
  assert.deepEqual([await activity(ada), await activity(bob)], ["", ""]);
  await updateRoom({ recording: true });
  for (const page of [ada, bob]) await eventually("the recording", () => activity(page), (text) => text === "● Recording");
  await updateRoom({ transcribing: true });
  for (const page of [ada, bob]) {
    await eventually("the transcription", () => activity(page), (text) => text === "● Recording● Transcribing");
  }
  const folder = process.env["NEXUS_SCREENSHOTS"];
  if (folder) {
    await mkdir(folder, { recursive: true });
    await ada.screenshot({ path: join(folder, "recording-desk.png") });
    await bob.screenshot({ path: join(folder, "recording-phone.png") });
  }
  const overflow = await bob.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "the page scrolls sideways on a phone");

  // The URL of a call has the room only, and the page remembers the name.
  await bob.reload();
  await bob.getByRole("button", { name: /join/i }).click();
  await inCall(bob);
  await eventually("the recording after the rejoin", () => activity(bob), (text) => text === "● Recording● Transcribing");
  await updateRoom({ recording: false, transcribing: false });
  for (const page of [ada, bob]) await eventually("the end of both", () => activity(page), (text) => text === "");
});
