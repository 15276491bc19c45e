// One running system, one page server and one browser for a test file; everything is closed after it.
// @ts-check
import { after, before } from "node:test";

import { launchChromium } from "./chromium.mjs";
import { servePages } from "./page_server.mjs";
import { openParticipant } from "./participant.mjs";
import { person } from "./people.mjs";
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
    /** A page of one of the well-known people. @param {string} room @param {string} identity @param {Partial<import("./participant.mjs").Person>} [more] */
    async open(room, identity, more = {}, browser = fixture.browser) {
      const page = await openParticipant(browser, fixture.origin, fixture.system, { ...person(identity), room, ...more });
      fixture.pages.push(page);
      return page;
    },
    /** Closes the pages of the test that has ended, so that the next has the machine for itself. */
    async closeAll() {
      for (const page of fixture.pages.splice(0)) await page.close();
    },
  };
}
