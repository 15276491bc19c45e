// Media elements of real pages: used by one track after another, and in popups and picture-in-picture windows.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { startFixture, withBrowser } from "./support/fixture.mjs";
import { showsExactly, identityOfColor } from "./support/cast.mjs";
import { launchTabs, putAnotherInFront } from "./support/tabs.mjs";
import { eventually } from "./support/wait.mjs";

const { open, closeAll } = startFixture();
const tabs = withBrowser(launchTabs);
afterEach(closeAll);

/** @param {string} room @param {string} identity */
async function publisher(room, identity) {
  const page = await open(room, identity);
  await page.evaluate(() => window.participant.join());
  await page.evaluate(() => window.participant.publishCamera({ codec: "vp8" }));
  return page;
}

test("an element shows the track attached last, whichever tracks are detached or unpublished", async () => {
  const red = await publisher("given", "red");
  await publisher("given", "green");
  const viewer = await open("given", "blue", { attach: false });
  await viewer.evaluate(() => window.participant.join());
  await eventually("both cameras", () => viewer.evaluate(() => ["red", "green"].every((who) => window.participant.remoteTrack(who, "camera"))));
  await viewer.evaluate(async () => {
    const page = window.participant;
    page.element = document.createElement("video");
    page.element.width = 160;
    document.body.append(page.element);
    page.preview = await page.room.createCameraVideoTrack({ resolution: "360p" });
  });
  const shown = async () => {
    const color = await viewer.evaluate(() => window.participant.colorOf(window.participant.element));
    return color === null ? null : identityOfColor(color);
  };
  /** @param {string} who @param {"attach" | "detach"} what */
  const act = (who, what) =>
    viewer.evaluate(
      (/** @type {[string, "attach" | "detach"]} */ [identity, method]) => {
        const page = window.participant;
        const track = identity === "own" ? page.preview : page.remoteTrack(identity, "camera");
        track[method](page.element);
      },
      /** @type {[string, "attach" | "detach"]} */ ([who, what]),
    );
  /** @param {string} who */
  const shows = (who) => eventually(`the video of ${who}`, shown, (color) => color === who);

  await act("red", "attach");
  await shows("red");
  await act("green", "attach");
  await act("red", "detach");
  await shows("green");
  await act("green", "attach");
  await shows("green");
  await act("own", "attach");
  await shows("blue");
  await act("red", "attach");
  await act("own", "detach");
  await viewer.evaluate(() => window.participant.preview.stop());
  await shows("red");
  await act("green", "attach");
  await red.evaluate(() => window.participant.room.leave());
  await eventually("red to leave", () => viewer.evaluate(() => window.participant.room.participants.size === 1));
  await shows("green");
  await act("green", "detach");
  assert.equal(await viewer.evaluate(() => window.participant.element.srcObject), null);
});

const WINDOWS = {
  "a popup": () => {
    window.participant.other = window.open("about:blank", "", "width=420,height=300");
  },
  "a Document Picture-in-Picture window": async () => {
    window.participant.other = await /** @type {any} */ (window).documentPictureInPicture.requestWindow({ width: 420, height: 300 });
  },
};

for (const [name, openWindow] of Object.entries(WINDOWS)) {
  test(`a video in ${name} continues while the tab is hidden`, async () => {
    const room = name.replaceAll(" ", "-");
    await publisher(room, "green");
    const viewer = /** @type {any} */ (await open(room, "red", {}, tabs()));
    await viewer.evaluate(() => window.participant.join());
    await showsExactly(viewer, ["green"]);
    await viewer.evaluate(openWindow);
    await viewer.evaluate(() => {
      const page = window.participant;
      const [tile] = page.tiles.values();
      page.element = tile.element;
      page.other.document.body.append(page.element);
    });
    await putAnotherInFront(viewer);

    const decoded = async () => (await viewer.evaluate(() => window.participant.received("green"))).framesDecoded;
    /** Waits for four seconds of video, longer than the SDK's delay before it hides a track. @param {string} where */
    const continues = async (where) => {
      const before = await decoded();
      await eventually(`the video to continue in ${where}`, decoded, (now) => now > before + 100);
    };
    /** @param {string} why */
    const stops = async (why) => {
      let [last, same] = [-1, 0];
      await eventually(`the video to stop because ${why}`, async () => {
        const now = await decoded();
        same = now === last ? same + 1 : 0;
        last = now;
        return same > 10;
      });
    };
    await continues(name);
    assert.equal(await viewer.evaluate(() => document.visibilityState), "hidden");
    await showsExactly(viewer, ["green"]);
    assert.equal(await viewer.evaluate(() => window.participant.element.paused), false);

    // In the hidden tab nothing is sent; in the other window it is sent again.
    await viewer.evaluate(() => document.body.append(window.participant.element));
    await stops("its tab is hidden");
    await viewer.evaluate(() => window.participant.other.document.body.append(window.participant.element));
    await continues(name);
    await viewer.evaluate(() => window.participant.other.close());
    await stops("the window is closed");
    await viewer.evaluate(() => document.body.append(window.participant.element));
    await viewer.bringToFront();
    await continues("the tab");
    await showsExactly(viewer, ["green"]);
  });
}
