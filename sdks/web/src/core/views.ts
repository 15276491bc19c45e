/**
 * How the page looks at tracks, and when to tell the server: what grows is told soon, what disappears a little later
 * (tabs are switched back and forth), and everything in one request, one at a time.
 */
import type { TrackId } from "./model.js";

/** After the first change; a drag of a window is one request then. */
export const VIEW_DELAY_MS = 100;
/** How long something must be out of sight before its picture is given up. */
export const HIDE_DELAY_MS = 1_000;
/** What the server takes in one request. */
export const MAX_VIEWS_PER_REQUEST = 256;

/** How a track is looked at. */
export interface View {
  /** The largest place where it is shown, in device pixels; 0: not known. */
  readonly width: number;
  readonly height: number;
  readonly hidden: boolean;
  readonly pinned: boolean;
  /** 1 to 255; 0: the server's own choice. */
  readonly priority: number;
  /** The highest layers wanted, 0 being the lowest; undefined: all. */
  readonly maxSpatial: number | undefined;
  readonly maxTemporal: number | undefined;
}

export interface Views {
  readonly looked: ReadonlyMap<TrackId, View>;
  readonly told: ReadonlyMap<TrackId, View>;
  readonly dueMs: number | null;
  readonly underWay: boolean;
}

export const NO_VIEWS: Views = { looked: new Map(), told: new Map(), dueMs: null, underWay: false };

export const DEFAULT_VIEW: View = {
  width: 0,
  height: 0,
  hidden: false,
  pinned: false,
  priority: 0,
  maxSpatial: undefined,
  maxTemporal: undefined,
};

export function look(views: Views, id: TrackId, view: View, nowMs: number): Views {
  const before = views.looked.get(id);
  if (before !== undefined && isSame(before, view)) return views;
  const looked = new Map(views.looked).set(id, view);
  const delayMs = view.hidden && !(before?.hidden ?? false) ? HIDE_DELAY_MS : VIEW_DELAY_MS;
  // What came to nothing hurries nobody.
  const waiting = untold(views).length > 0 ? views.dueMs : null;
  return { ...views, looked, dueMs: Math.min(waiting ?? Infinity, nowMs + delayMs) };
}

/** The track is gone. */
export function forget(views: Views, id: TrackId): Views {
  if (!views.looked.has(id) && !views.told.has(id)) return views;
  const [looked, told] = [new Map(views.looked), new Map(views.told)];
  looked.delete(id);
  told.delete(id);
  return { ...views, looked, told };
}

/** What to tell now; null when there is nothing, it is too early, or an answer is awaited. */
export function nextRequest(views: Views, nowMs: number): ReadonlyMap<TrackId, View> | null {
  if (views.underWay || views.dueMs === null || views.dueMs > nowMs) return null;
  const news = untold(views);
  return news.length === 0 ? null : new Map(news.slice(0, MAX_VIEWS_PER_REQUEST));
}

export function requested(views: Views, news: ReadonlyMap<TrackId, View>): Views {
  const told = new Map([...views.told, ...news]);
  const rest = untold({ ...views, told }).length > 0;
  return { ...views, told, underWay: true, dueMs: rest ? views.dueMs : null };
}

export const answered = (views: Views): Views => ({ ...views, underWay: false });

export function nextDeadline(views: Views): number | null {
  return views.underWay || untold(views).length === 0 ? null : views.dueMs;
}

function untold({ looked, told }: Views): (readonly [TrackId, View])[] {
  return [...looked].filter(([id, view]) => !isSame(told.get(id) ?? DEFAULT_VIEW, view));
}

const isSame = (a: View, b: View): boolean =>
  (Object.keys(DEFAULT_VIEW) as (keyof View)[]).every((name) => a[name] === b[name]);
