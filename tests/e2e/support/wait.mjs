// Waiting for a condition, generously: these machines are shared and noisy, so time only bounds a failure.
// @ts-check
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks `probe` until `accept` is content with what it says; the error shows the last answer.
 * @template T
 * @param {string} what
 * @param {() => Promise<T> | T} probe
 * @param {(value: T) => boolean} [accept]
 * @param {number} [timeoutMs]
 * @returns {Promise<T>}
 */
export async function eventually(what, probe, accept = Boolean, timeoutMs = 45_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (accept(value)) return value;
    if (Date.now() > end) throw new Error(`waited for ${what}; last: ${JSON.stringify(value)}`);
    await sleep(100);
  }
}
