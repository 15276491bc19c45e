// A real Chromium (Debian's) under playwright-core, and what its two drivers share.
// @ts-check
import { chromium } from "playwright-core";

export const executablePath = process.env["NEXUS_CHROMIUM"] ?? "/usr/bin/chromium";

/** Fake devices, no prompts, audio without a gesture. */
export const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];

/** @param {string[]} [extra] @returns {Promise<import("playwright-core").Browser>} */
export async function launchChromium(extra = []) {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      ...FLAGS,
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Several pages share one browser: a page behind another must draw and run timers as if it were visible.
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
      "--disable-background-timer-throttling",
      ...extra,
    ],
  });
}
