import { expect, it } from "vitest";
import { bestGrid } from "./layout.js";

it.each([
  [1, 1280, 720, 1],
  [2, 1280, 720, 2],
  [2, 360, 600, 1],
  [4, 1280, 720, 2],
  [6, 1280, 720, 3],
  [9, 1600, 900, 3],
])("%i tiles in %i × %i have %i columns and fit", (tiles, width, height, columns) => {
  const grid = bestGrid(tiles, width, height, 8);
  expect(grid.columns).toBe(columns);
  const rows = Math.ceil(tiles / columns);
  expect(columns * grid.tileWidth + 8 * (columns - 1)).toBeLessThanOrEqual(width);
  expect((rows * grid.tileWidth * 9) / 16 + 8 * (rows - 1)).toBeLessThanOrEqual(height);
});
