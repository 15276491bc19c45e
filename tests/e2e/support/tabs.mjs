// Chromium with real tabs, under puppeteer-core: a tab behind another is hidden, as it is for a person. (Playwright emulates
// focus for every page, which keeps all of them visible.)
// @ts-check
import puppeteer from "puppeteer-core";

const executablePath = process.env["NEXUS_CHROMIUM"] ?? "/usr/bin/chromium";

/** @returns {Promise<import("puppeteer-core").Browser>} */
export async function launchTabs() {
  return puppeteer.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
}

/** Puts another tab in front of this one, and waits until the browser says so. @param {any} page */
export async function putAnotherInFront(page) {
  const other = await page.browserContext().newPage();
  await other.bringToFront();
  await page.waitForFunction(() => document.visibilityState === "hidden", { polling: 50 });
  return other;
}
