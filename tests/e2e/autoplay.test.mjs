// A page without user interaction, in a browser that blocks audio until the first click.
// @ts-check
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { launchChromium } from "./support/chromium.mjs";
import { startFixture } from "./support/fixture.mjs";
import { withoutGestures } from "./support/no_gesture.mjs";
import { eventually } from "./support/wait.mjs";

const { fixture, open, closeAll } = startFixture({ launch: () => launchChromium(["--autoplay-policy=user-gesture-required"]) });
afterEach(closeAll);

test("blocked audio is reported, startAudio rejects without a click, and plays everything from one", async () => {
  const red = await open("autoplay", "red");
  await red.evaluate(() => window.participant.join());
  await red.evaluate(() => window.participant.publishMicrophone());

  const green = /** @type {any} */ (await open("autoplay", "green", {}, withoutGestures(fixture.browser)));
  await green.evaluate(() => {
    // The SDK's audio elements are not in the document.
    const page = window.participant;
    page.elements = [];
    const { createElement } = Document.prototype;
    /** @param {string} name @param {any} [options] */
    Document.prototype.createElement = function make(name, options) {
      const element = createElement.call(this, name, options);
      if (name === "audio") page.elements.push(element);
      return element;
    };
  });
  await green.evaluate(() => window.participant.join());
  await eventually("audio to be blocked", () => green.evaluate(() => window.participant.room.audioBlocked));
  const state = () =>
    green.evaluate(() => {
      const { room, elements } = window.participant;
      return { blocked: room.audioBlocked, paused: elements.filter((/** @type {any} */ one) => one.paused).length, all: elements.length };
    });
  const before = await state();
  assert.equal(before.blocked, true);
  assert.equal(before.paused, before.all);
  assert.ok(before.all >= 7, `${before.all} audio elements`);

  const refused = await green.evaluate(() =>
    window.participant.room.startAudio().then(
      () => null,
      (/** @type {any} */ error) => ({ name: error.name, code: error.code, cause: error.cause?.name }),
    ),
  );
  assert.deepEqual(refused, { name: "NexusError", code: "AUTOPLAY_BLOCKED", cause: "NotAllowedError" });
  assert.deepEqual(await state(), before);

  await green.evaluate(() => {
    const page = window.participant;
    document.addEventListener("click", () => {
      page.started = page.room.startAudio().then(
        () => "playing",
        (/** @type {any} */ error) => error.code,
      );
    });
  });
  await green.mouse.click(5, 5);
  assert.equal(await eventually("the click", () => green.evaluate(() => window.participant.started ?? null)), "playing");
  assert.deepEqual(await state(), { ...before, blocked: false, paused: 0 });
  // The audio does play: the time of an element advances.
  const clocks = () => green.evaluate(() => Math.max(...window.participant.elements.map((/** @type {any} */ one) => one.currentTime)));
  const then = await clocks();
  await eventually("the audio to play", clocks, (now) => now > then);
});
