/** Changes of views are collected, delayed and sent one request at a time. */
import { expect, it } from "vitest";
import type { TrackId } from "./model.js";
import { answered, DEFAULT_VIEW, forget, HIDE_DELAY_MS, MAX_VIEWS_PER_REQUEST, nextDeadline, nextRequest, NO_VIEWS, requested, setView, VIEW_DELAY_MS } from "./views.js";

const A = "TR_a" as TrackId;
const B = "TR_b" as TrackId;
const small = { ...DEFAULT_VIEW, width: 320, height: 180 };
const large = { ...DEFAULT_VIEW, width: 1280, height: 720 };

it("collects the changes within the delay", () => {
  const first = setView(NO_VIEWS, A, small, 0);
  expect(nextDeadline(first)).toBe(VIEW_DELAY_MS);
  expect(nextRequest(first, VIEW_DELAY_MS - 1)).toBeNull();
  const both = setView(setView(first, B, small, 50), A, large, 90);
  expect(nextRequest(both, VIEW_DELAY_MS)).toEqual(new Map([[A, large], [B, small]]));
});

it("sends nothing twice, and nothing that was undone", () => {
  const views = setView(NO_VIEWS, A, small, 0);
  const sent = answered(requested(views, new Map([[A, small]])));
  expect(nextDeadline(sent)).toBeNull();
  expect(setView(sent, A, small, 500)).toBe(sent);
  const back = setView(setView(sent, A, { ...small, hidden: true }, 500), A, small, 600);
  expect(nextDeadline(back)).toBeNull();
  expect(nextRequest(back, 10_000)).toBeNull();
});

it("waits before it sends that a track is hidden", () => {
  const sent = answered(requested(setView(NO_VIEWS, A, small, 0), new Map([[A, small]])));
  const hidden = setView(sent, A, { ...small, hidden: true }, 1_000);
  expect(nextDeadline(hidden)).toBe(1_000 + HIDE_DELAY_MS);
  expect(nextDeadline(setView(hidden, A, large, 1_200))).toBe(1_200 + VIEW_DELAY_MS);
});

it("has one request in flight and sends the rest after its answer", () => {
  const sent = requested(setView(NO_VIEWS, A, small, 0), new Map([[A, small]]));
  const more = setView(sent, A, large, 150);
  expect(nextDeadline(more)).toBeNull();
  expect(nextRequest(more, 1_000)).toBeNull();
  expect(nextRequest(answered(more), 1_000)).toEqual(new Map([[A, large]]));
});

it("sends no more views than a request may have", () => {
  let views = NO_VIEWS;
  for (let index = 0; index < 300; index += 1) views = setView(views, `TR_${index}` as TrackId, small, 0);
  const changed = nextRequest(views, 100);
  expect(changed?.size).toBe(MAX_VIEWS_PER_REQUEST);
  const rest = answered(requested(views, changed ?? new Map()));
  expect(nextRequest(rest, 100)?.size).toBe(300 - MAX_VIEWS_PER_REQUEST);
});

it("forgets unpublished tracks", () => {
  const views = forget(setView(NO_VIEWS, A, small, 0), A);
  expect(nextRequest(views, 1_000)).toBeNull();
  expect(views.current.size).toBe(0);
});

it("does not send the default view", () => {
  expect(nextRequest(setView(NO_VIEWS, A, DEFAULT_VIEW, 0), 1_000)).toBeNull();
});
