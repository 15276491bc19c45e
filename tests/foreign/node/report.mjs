// Reports for the harness: one JSON object per line on standard output.
// @ts-check

/** @param {string} event @param {Record<string, unknown>} [fields] */
export const report = (event, fields = {}) => {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
};

/** @param {unknown} error */
export const reportError = (error) => {
  report("error", { message: error instanceof Error ? error.message : String(error) });
};
