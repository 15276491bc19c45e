// One JSON object a line on standard output: what the harness reads.
// @ts-check

/** @param {string} event @param {Record<string, unknown>} [fields] */
export const report = (event, fields = {}) => {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
};

/** @param {unknown} error */
export const reportError = (error) => {
  report("error", { message: error instanceof Error ? error.message : String(error) });
};
