// Waits for conditions. The timeout is generous and bounds only failures, because test machines are shared and slow.
// @ts-check
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls `probe` until `accept` accepts its value. The error contains the last value.
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
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}; last value: ${JSON.stringify(value)}`);
    await sleep(100);
  }
}
