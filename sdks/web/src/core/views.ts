/**
 * How the page views each track, and when to send that to the server. A view that grows is sent soon, one that is hidden a
 * little later (tabs are switched back and forth). All changes go into one request, and one request is in flight at a time.
 */
import type { TrackId } from "./model.js";

/** How long changes are collected after the first: resizing a window is one request then. */
export const VIEW_DELAY_MS = 100;
/** How long a track must be out of sight before its video is given up. */
export const HIDE_DELAY_MS = 1_000;
/** Maximum number of views that the server takes in one request. */
export const MAX_VIEWS_PER_REQUEST = 256;

/** How the page shows a track. */
export interface View {
  /** Size of the largest element that shows it, in device pixels; 0 when unknown. */
  readonly width: number;
  readonly height: number;
  readonly hidden: boolean;
  readonly pinned: boolean;
  /** 1 to 255; 0 leaves it to the server. */
  readonly priority: number;
  /** The highest layers wanted, 0 being the lowest; undefined: all. */
  readonly maxSpatial: number | undefined;
  readonly maxTemporal: number | undefined;
}

export interface Views {
  readonly current: ReadonlyMap<TrackId, View>;
  readonly sent: ReadonlyMap<TrackId, View>;
  readonly dueMs: number | null;
  readonly inFlight: boolean;
}

export const NO_VIEWS: Views = { current: new Map(), sent: new Map(), dueMs: null, inFlight: false };

export const DEFAULT_VIEW: View = {
  width: 0,
  height: 0,
  hidden: false,
  pinned: false,
  priority: 0,
  maxSpatial: undefined,
  maxTemporal: undefined,
};

export function setView(views: Views, id: TrackId, view: View, nowMs: number): Views {
  const before = views.current.get(id);
  if (before !== undefined && isSame(before, view)) return views;
  const current = new Map(views.current).set(id, view);
  const delayMs = view.hidden && !(before?.hidden ?? false) ? HIDE_DELAY_MS : VIEW_DELAY_MS;
  // A change that was undone leaves a deadline behind, which must not shorten the delay of this one.
  const waiting = unsent(views).length > 0 ? views.dueMs : null;
  return { ...views, current, dueMs: Math.min(waiting ?? Infinity, nowMs + delayMs) };
}

/** The track is unpublished. */
export function forget(views: Views, id: TrackId): Views {
  if (!views.current.has(id) && !views.sent.has(id)) return views;
  const [current, sent] = [new Map(views.current), new Map(views.sent)];
  current.delete(id);
  sent.delete(id);
  return { ...views, current, sent };
}

/** The views to send now; null when there are none, it is too early, or an answer is awaited. */
export function nextRequest(views: Views, nowMs: number): ReadonlyMap<TrackId, View> | null {
  if (views.inFlight || views.dueMs === null || views.dueMs > nowMs) return null;
  const changed = unsent(views);
  return changed.length === 0 ? null : new Map(changed.slice(0, MAX_VIEWS_PER_REQUEST));
}

export function requested(views: Views, changed: ReadonlyMap<TrackId, View>): Views {
  const sent = new Map([...views.sent, ...changed]);
  const rest = unsent({ ...views, sent }).length > 0;
  return { ...views, sent, inFlight: true, dueMs: rest ? views.dueMs : null };
}

export const answered = (views: Views): Views => ({ ...views, inFlight: false });

export function nextDeadline(views: Views): number | null {
  return views.inFlight || unsent(views).length === 0 ? null : views.dueMs;
}

function unsent({ current, sent }: Views): (readonly [TrackId, View])[] {
  return [...current].filter(([id, view]) => !isSame(sent.get(id) ?? DEFAULT_VIEW, view));
}

const isSame = (a: View, b: View): boolean =>
  (Object.keys(DEFAULT_VIEW) as (keyof View)[]).every((name) => a[name] === b[name]);
