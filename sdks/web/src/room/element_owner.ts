/**
 * Which track owns a media element: the one that was attached last. An element has one owner at a time, whatever tracks of
 * whatever rooms are given to it, one's own included; only the owner writes `srcObject`.
 */

/** A track as an element knows it. @internal */
export interface ElementOwner {
  /** Another track has taken the element: forget it, and leave its stream alone. */
  readonly lose: (element: HTMLMediaElement) => void;
}

interface Ownership {
  readonly owner: ElementOwner;
  stream: MediaStream | null;
}

/** Weak: an element that the page drops takes its entry with it. */
const ownerships = new WeakMap<HTMLMediaElement, Ownership>();

/** Makes `owner` the element's owner; the one before loses it. @internal */
export function takeElement(element: HTMLMediaElement, owner: ElementOwner): void {
  const before = ownerships.get(element);
  if (before?.owner === owner) return;
  ownerships.set(element, { owner, stream: null });
  before?.owner.lose(element);
}

/** Shows a stream, or nothing, in an element of `owner`'s. @internal */
export function showIn(element: HTMLMediaElement, owner: ElementOwner, stream: MediaStream | null): void {
  const ownership = ownerships.get(element);
  if (ownership?.owner !== owner) return;
  ownership.stream = stream;
  if (element.srcObject !== stream) element.srcObject = stream;
}

/** Ends the ownership, and empties the element unless the page itself has put something else into it. @internal */
export function releaseElement(element: HTMLMediaElement, owner: ElementOwner): void {
  const ownership = ownerships.get(element);
  if (ownership?.owner !== owner) return;
  ownerships.delete(element);
  if (element.srcObject === ownership.stream) element.srcObject = null;
}
