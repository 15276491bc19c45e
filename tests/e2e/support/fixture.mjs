// One running system, one page server and one browser for a test file, and further browsers. All are closed after it.
// @ts-check
import { after, before } from "node:test";

import { member } from "./cast.mjs";
import { launchChromium } from "./chromium.mjs";
import { servePages } from "./page_server.mjs";
import { openParticipant } from "./participant.mjs";
import { System } from "./system.mjs";

/** @param {{launch?: () => Promise<any>, system?: Parameters<typeof System.start>[0]}} [options] */
export function startFixture(options = {}) {
  /** @type {{system: System, origin: string, documents: Map<string, string>, browser: any, pages: import("./participant.mjs").Page[]}} */
  const fixture = /** @type {any} */ ({ pages: [] });
  /** @type {() => Promise<unknown>} */
  let closePages = async () => undefined;
  before(async () => {
    fixture.system = await System.start(options.system);
    const server = await servePages();
    closePages = server.close;
    fixture.origin = server.origin;
    fixture.documents = server.documents;
    fixture.browser = await (options.launch ?? launchChromium)();
  });
  after(async () => {
    await fixture.browser?.close();
    await closePages();
    await fixture.system?.stop();
  });
  return {
    fixture,
    /** Opens a page of a participant of the cast. @param {string} room @param {string} identity @param {Partial<import("./participant.mjs").ParticipantOptions>} [more] */
    async open(room, identity, more = {}, browser = fixture.browser) {
      const page = await openParticipant(browser, fixture.origin, fixture.system, { ...member(identity), room, ...more });
      fixture.pages.push(page);
      return page;
    },
    /** Closes the pages of a test, so that the next one does not share the machine with them. */
    async closeAll() {
      for (const page of fixture.pages.splice(0)) await page.close();
    },
  };
}

/**
 * A further browser for a test file: launched before its tests and closed after them.
 * @param {() => Promise<any>} launch
 * @returns {() => any} the browser, once the tests run
 */
export function withBrowser(launch) {
  /** @type {any} */
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
  });
  return () => browser;
}
