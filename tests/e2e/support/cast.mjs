// Who is in a test, and what they should look and sound like to others.
// @ts-check
import { eventually } from "./wait.mjs";

/** Colours far apart in every codec's eyes, and tones that are no harmonics of one another. */
export const PEOPLE = [
  { identity: "red", color: "#d02020", toneHz: 440 },
  { identity: "green", color: "#20b020", toneHz: 620 },
  { identity: "blue", color: "#2040d0", toneHz: 830 },
  { identity: "yellow", color: "#d0c020", toneHz: 1010 },
  { identity: "magenta", color: "#c020c0", toneHz: 1270 },
  { identity: "cyan", color: "#20c0c0", toneHz: 1490 },
];

/** @param {string} identity */
export function person(identity) {
  const found = PEOPLE.find((one) => one.identity === identity);
  if (!found) throw new Error(`nobody is called ${identity}`);
  return found;
}

/** Whose colour is nearest to this one? @param {readonly number[]} rgb */
export function whoseColor(rgb) {
  const distance = (/** @type {string} */ hex) =>
    [1, 3, 5].reduce((sum, at, index) => sum + (parseInt(hex.slice(at, at + 2), 16) - (rgb[index] ?? 0)) ** 2, 0);
  const near = [...PEOPLE].sort((a, b) => distance(a.color) - distance(b.color))[0];
  return near && distance(near.color) < 100 ** 2 ? near.identity : `nobody (${rgb.join(",")})`;
}

/** Whose tone is this? @param {number} hz */
export function whoseTone(hz) {
  return PEOPLE.find((one) => Math.abs(one.toneHz - hz) < 30)?.identity ?? `nobody (${hz.toFixed(0)} Hz)`;
}

/**
 * Waits until this page shows exactly these people, and throws at once when it ever shows one under another's name.
 * @param {import("./participant.mjs").Page} page
 * @param {readonly string[]} identities
 */
export async function seesExactly(page, identities) {
  const wanted = [...identities].sort().join();
  return eventually(
    `pictures of ${wanted}`,
    async () => {
      const tiles = (await page.evaluate(() => window.participant.colors())).filter((/** @type {any} */ tile) => tile.color);
      for (const tile of tiles) requireOwn("picture", tile.identity, whoseColor(tile.color));
      return tiles.map((/** @type {any} */ tile) => tile.identity).sort().join();
    },
    (seen) => seen === wanted,
  );
}

/**
 * Waits until this page hears all of these people, and throws when it ever hears one under another's name.
 * @param {import("./participant.mjs").Page} page
 * @param {readonly string[]} identities
 */
export async function hearsAll(page, identities) {
  /** A tone is judged only when it was read twice the same: an analyser's window may straddle a change of speaker. @type {Map<string, string>} */
  const last = new Map();
  return eventually(
    `the voices of ${identities.join()}`,
    async () => {
      const tones = (await page.evaluate(() => window.participant.tones())).filter((/** @type {any} */ one) => one.hz !== null);
      for (const { identity, hz } of tones) {
        const whose = whoseTone(hz);
        if (last.get(identity) === whose) requireOwn("voice", identity, whose);
        last.set(identity, whose);
      }
      return tones.filter((/** @type {any} */ one) => whoseTone(one.hz) === one.identity).map((/** @type {any} */ one) => one.identity);
    },
    (heard) => identities.every((identity) => heard.includes(identity)),
  );
}

/** @param {string} what @param {string} identity @param {string} whose */
function requireOwn(what, identity, whose) {
  if (identity !== whose) throw new Error(`the ${what} shown as ${identity}'s is ${whose}'s`);
}

/** Resolves when the picture of somebody moves on. @param {import("./participant.mjs").Page} page @param {string} identity */
export async function keepsMoving(page, identity) {
  const changes = async () =>
    (await page.evaluate(() => window.participant.colors())).find((/** @type {any} */ tile) => tile.identity === identity)?.changes ?? 0;
  const before = await changes();
  return eventually(`the picture of ${identity} to move`, changes, (now) => now > before + 5);
}
