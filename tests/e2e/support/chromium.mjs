// A real Chromium (Debian's) under playwright-core.
// @ts-check
import { chromium } from "playwright-core";

const executablePath = process.env["NEXUS_CHROMIUM"] ?? "/usr/bin/chromium";

/** @param {string[]} [extra] @returns {Promise<import("playwright-core").Browser>} */
export async function launchChromium(extra = []) {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      "--autoplay-policy=no-user-gesture-required",
      // Several pages share one browser here: a page behind another must go on drawing and timing as if seen.
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
      "--disable-background-timer-throttling",
      ...extra,
    ],
  });
}
