// Pages without user interaction. Playwright evaluates code of a test with a user gesture, which unlocks what browsers block
// before the first one. The protocol itself can evaluate without a gesture.
// @ts-check

/**
 * A browser whose pages evaluate code without a gesture. `page.mouse.click` is a real click.
 * @param {import("playwright-core").Browser} browser
 * @returns {{newContext: () => Promise<any>}}
 */
export function withoutGestures(browser) {
  return {
    async newContext() {
      const context = await browser.newContext();
      return { newPage: async () => untouched(await context.newPage(), context) };
    },
  };
}

/** @param {import("playwright-core").Page} page @param {import("playwright-core").BrowserContext} context */
async function untouched(page, context) {
  const session = await context.newCDPSession(page);
  return {
    mouse: page.mouse,
    goto: (/** @type {string} */ url) => page.goto(url),
    on: (/** @type {any} */ event, /** @type {any} */ listener) => page.on(event, listener),
    close: () => page.close(),
    /** @param {Function} run @param {unknown} [argument] */
    async evaluate(run, argument) {
      const expression = `(${run})(${JSON.stringify(argument)})`;
      const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
        expression,
        awaitPromise: true,
        returnByValue: true,
        userGesture: false,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
  };
}
