/** The layout of tiles: the number of columns at which they cover most of the available area. */

const RATIO = 16 / 9;

export interface Grid {
  readonly columns: number;
  readonly tileWidth: number;
}

export function bestGrid(tiles: number, width: number, height: number, gap: number): Grid {
  let best: Grid = { columns: 1, tileWidth: 0 };
  for (let columns = 1; columns <= Math.max(1, tiles); columns += 1) {
    const rows = Math.ceil(tiles / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows) * RATIO;
    const tileWidth = Math.floor(Math.min(byWidth, byHeight));
    if (tileWidth > best.tileWidth) best = { columns, tileWidth };
  }
  return best;
}
