// Chromium with real tabs, under puppeteer-core: a tab behind another is hidden. (Playwright emulates focus for every page,
// which keeps all of them visible.)
// @ts-check
import puppeteer from "puppeteer-core";

import { executablePath, FLAGS } from "./chromium.mjs";

/** @returns {Promise<import("puppeteer-core").Browser>} */
export async function launchTabs() {
  return puppeteer.launch({
    executablePath,
    headless: true,
    args: FLAGS,
  });
}

/** Puts another tab in front of this one, and waits until this one is hidden. @param {any} page */
export async function putAnotherInFront(page) {
  const other = await page.browserContext().newPage();
  await other.bringToFront();
  await page.waitForFunction(() => document.visibilityState === "hidden", { polling: 50 });
  return other;
}
