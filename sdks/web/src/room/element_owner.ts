/**
 * The ownership of media elements by tracks. An element has one owner at a time, the track that was attached last, across all
 * rooms and including local tracks. Only the owner writes `srcObject`.
 */

/** A track that can own elements. @internal */
export interface ElementOwner {
  /** Another track has taken the element: forget it and do not change its stream. */
  readonly lose: (element: HTMLMediaElement) => void;
}

interface Ownership {
  readonly owner: ElementOwner;
  stream: MediaStream | null;
}

/** Weak, so that an element that the page drops is collected together with its entry. */
const ownerships = new WeakMap<HTMLMediaElement, Ownership>();

/** Makes `owner` the element's owner; the previous one loses it. @internal */
export function takeElement(element: HTMLMediaElement, owner: ElementOwner): void {
  const before = ownerships.get(element);
  if (before?.owner === owner) return;
  ownerships.set(element, { owner, stream: null });
  before?.owner.lose(element);
}

/** Shows a stream, or nothing, in an element that `owner` owns. @internal */
export function showIn(element: HTMLMediaElement, owner: ElementOwner, stream: MediaStream | null): void {
  const ownership = ownerships.get(element);
  if (ownership?.owner !== owner) return;
  ownership.stream = stream;
  if (element.srcObject !== stream) element.srcObject = stream;
}

/** Ends the ownership and clears the element, unless the page has set another stream. @internal */
export function releaseElement(element: HTMLMediaElement, owner: ElementOwner): void {
  const ownership = ownerships.get(element);
  if (ownership?.owner !== owner) return;
  ownerships.delete(element);
  if (element.srcObject === ownership.stream) element.srcObject = null;
}
