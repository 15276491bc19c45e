// The participants of tests, with the colour of their video and the tone of their audio, and what a page shows and plays.
// @ts-check
import { eventually } from "./wait.mjs";

/** Colours that every codec keeps apart, and tones that are not harmonics of one another. */
export const CAST = [
  { identity: "red", color: "#d02020", toneHz: 440 },
  { identity: "green", color: "#20b020", toneHz: 620 },
  { identity: "blue", color: "#2040d0", toneHz: 830 },
  { identity: "yellow", color: "#d0c020", toneHz: 1010 },
  { identity: "magenta", color: "#c020c0", toneHz: 1270 },
  { identity: "cyan", color: "#20c0c0", toneHz: 1490 },
];

/** @param {string} identity */
export function member(identity) {
  const found = CAST.find((one) => one.identity === identity);
  if (!found) throw new Error(`there is no participant ${identity}`);
  return found;
}

/** The participant whose colour is nearest to this one. @param {readonly number[]} rgb */
export function identityOfColor(rgb) {
  const distance = (/** @type {string} */ hex) =>
    [1, 3, 5].reduce((sum, at, index) => sum + (parseInt(hex.slice(at, at + 2), 16) - (rgb[index] ?? 0)) ** 2, 0);
  const near = [...CAST].sort((a, b) => distance(a.color) - distance(b.color))[0];
  return near && distance(near.color) < 100 ** 2 ? near.identity : `unknown (${rgb.join(",")})`;
}

/** The participant with this tone. @param {number} hz */
export function identityOfTone(hz) {
  return CAST.find((one) => Math.abs(one.toneHz - hz) < 30)?.identity ?? `unknown (${hz.toFixed(0)} Hz)`;
}

/**
 * Waits until this page shows the videos of exactly these participants. Throws if it shows one under another's name.
 * @param {import("./participant.mjs").Page} page
 * @param {readonly string[]} identities
 */
export async function showsExactly(page, identities) {
  const wanted = [...identities].sort().join();
  return eventually(
    `videos of ${wanted}`,
    async () => {
      const tiles = (await page.evaluate(() => window.participant.colors())).filter((/** @type {any} */ tile) => tile.color);
      for (const tile of tiles) requireOwn("video", tile.identity, identityOfColor(tile.color));
      return tiles.map((/** @type {any} */ tile) => tile.identity).sort().join();
    },
    (shown) => shown === wanted,
  );
}

/**
 * Waits until this page plays the audio of all these participants. Throws if it plays one under another's name.
 * @param {import("./participant.mjs").Page} page
 * @param {readonly string[]} identities
 */
export async function playsAll(page, identities) {
  /** The last tone of each: one counts only when read twice, as an analyser's window may span a change of speaker. @type {Map<string, string>} */
  const last = new Map();
  return eventually(
    `the audio of ${identities.join()}`,
    async () => {
      const tones = (await page.evaluate(() => window.participant.tones())).filter((/** @type {any} */ one) => one.hz !== null);
      for (const { identity, hz } of tones) {
        const actual = identityOfTone(hz);
        if (last.get(identity) === actual) requireOwn("audio", identity, actual);
        last.set(identity, actual);
      }
      return tones.filter((/** @type {any} */ one) => identityOfTone(one.hz) === one.identity).map((/** @type {any} */ one) => one.identity);
    },
    (heard) => identities.every((identity) => heard.includes(identity)),
  );
}

/** @param {string} what @param {string} identity @param {string} actual */
function requireOwn(what, identity, actual) {
  if (identity !== actual) throw new Error(`the ${what} under the name ${identity} is that of ${actual}`);
}

/** Waits until the video of a participant moves. @param {import("./participant.mjs").Page} page @param {string} identity */
export async function keepsMoving(page, identity) {
  const changes = async () =>
    (await page.evaluate(() => window.participant.colors())).find((/** @type {any} */ tile) => tile.identity === identity)?.changes ?? 0;
  const before = await changes();
  return eventually(`the video of ${identity} to move`, changes, (now) => now > before + 5);
}
