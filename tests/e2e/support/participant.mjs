// Opens a page that takes part in a call: pages/participant.html, in a browser context of its own.
// @ts-check

/**
 * @typedef {object} Person
 * @property {string} room
 * @property {string} identity
 * @property {string} [color] CSS colour of the synthetic camera
 * @property {number} [toneHz] of the synthetic microphone; 0 is silence
 * @property {boolean} [flash] flash and beep together every 1.5 s
 * @property {boolean} [busy] a picture that needs many bits
 * @property {"binary" | "json"} [wireFormat]
 * @property {boolean} [attach] attach every picture as it is published (the default)
 * @property {number} [width]
 * @property {number} [height]
 */

/** What both browsers' drivers have in common. @typedef {{evaluate: (run: any, argument?: any) => Promise<any>, goto: (url: string) => Promise<unknown>, close: () => Promise<void>}} Page */

/**
 * @param {{newContext?: () => Promise<any>, createBrowserContext?: () => Promise<any>}} browser
 * @param {string} origin
 * @param {import("./system.mjs").System} system
 * @param {Person} person
 * @param {{token?: string, app_id?: string}} [credentials] instead of a development token
 * @returns {Promise<Page>}
 */
export async function openParticipant(browser, origin, system, person, credentials = {}) {
  const context = browser.newContext ? await browser.newContext() : await browser.createBrowserContext?.();
  /** @type {Page} */
  const page = await context.newPage();
  await page.goto(`${origin}/pages/participant.html`);
  const minted = credentials.token === undefined ? await system.token(person.room, person.identity) : undefined;
  /** @type {any} */ (page).on("console", (/** @type {any} */ message) => process.env["NEXUS_VERBOSE"] && console.log(`${person.identity}: ${message.text()}`));
  await waitForPage(page);
  await page.evaluate((/** @type {any} */ options) => window.participant.configure(options), {
    room: person.room,
    appId: credentials.app_id ?? minted?.app_id,
    token: credentials.token ?? minted?.token,
    serverUrl: system.url,
    wireFormat: person.wireFormat ?? "binary",
    attach: person.attach ?? true,
    scene: {
      color: person.color ?? "#404040",
      toneHz: person.toneHz ?? 0,
      flash: person.flash ?? false,
      busy: person.busy ?? false,
      width: person.width ?? 320,
      height: person.height ?? 180,
    },
  });
  return page;
}

/** @param {Page} page */
async function waitForPage(page) {
  await page.evaluate(async () => {
    while (!window.participant) await new Promise((done) => setTimeout(done, 10));
  });
}
