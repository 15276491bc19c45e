// Opens a page that takes part in a call: pages/participant.html, in its own browser context.
// @ts-check

/**
 * @typedef {object} ParticipantOptions
 * @property {string} room
 * @property {string} identity
 * @property {string} [color] CSS colour of the synthetic camera
 * @property {number} [toneHz] tone of the synthetic microphone; 0 is silence
 * @property {boolean} [flash] a flash and a beep together every 1.5 s
 * @property {boolean} [busy] a video that needs many bits
 * @property {"binary" | "json"} [wireFormat]
 * @property {boolean} [attach] attach every video when it is published (default: true)
 * @property {boolean} [record] with the grant of that name
 * @property {number} [width]
 * @property {number} [height]
 */

/** The common part of the browsers' drivers. @typedef {{evaluate: (run: any, argument?: any) => Promise<any>, goto: (url: string) => Promise<unknown>, close: () => Promise<void>}} Page */

/**
 * @param {{newContext?: () => Promise<any>, createBrowserContext?: () => Promise<any>}} browser
 * @param {string} origin
 * @param {import("./system.mjs").System} system
 * @param {ParticipantOptions} options
 * @param {{token?: string, app_id?: string}} [credentials] in place of a development token
 * @returns {Promise<Page>}
 */
export async function openParticipant(browser, origin, system, options, credentials = {}) {
  const context = browser.newContext ? await browser.newContext() : await browser.createBrowserContext?.();
  /** @type {Page} */
  const page = await context.newPage();
  await page.goto(`${origin}/pages/participant.html`);
  const minted = credentials.token === undefined ? await system.token(options.room, options.identity, { record: options.record ?? false }) : undefined;
  /** @type {any} */ (page).on("console", (/** @type {any} */ message) => process.env["NEXUS_VERBOSE"] && console.log(`${options.identity}: ${message.text()}`));
  await waitForPage(page);
  await page.evaluate((/** @type {any} */ configuration) => window.participant.configure(configuration), {
    room: options.room,
    appId: credentials.app_id ?? minted?.app_id,
    token: credentials.token ?? minted?.token,
    serverUrl: system.url,
    wireFormat: options.wireFormat ?? "binary",
    attach: options.attach ?? true,
    scene: {
      color: options.color ?? "#404040",
      toneHz: options.toneHz ?? 0,
      flash: options.flash ?? false,
      busy: options.busy ?? false,
      width: options.width ?? 320,
      height: options.height ?? 180,
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
