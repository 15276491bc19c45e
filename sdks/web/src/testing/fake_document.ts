/**
 * Documents and their windows without layout: a tab, a popup, a Document Picture-in-Picture window. As in a browser, the
 * observers of a window run only while its document is visible.
 */
import type { FakeElement } from "./fake_element.js";

interface Observation {
  readonly target: FakeElement;
  readonly isIntersecting: boolean;
}

/** What `ResizeObserver` and `IntersectionObserver` have in common. */
class FakeObserver {
  readonly elements = new Set<FakeElement>();
  readonly deliver: (entries: readonly Observation[]) => void;

  constructor(deliver: (entries: readonly Observation[]) => void) {
    this.deliver = deliver;
  }

  observe(element: FakeElement): void {
    this.elements.add(element);
  }

  unobserve(element: FakeElement): void {
    this.elements.delete(element);
  }
}

/** What stands in for a `Window`: what `defaultView` of a `FakeDocument` gives. */
export class FakeWindow {
  devicePixelRatio = 1;
  closed = false;
  readonly ResizeObserver: new (deliver: (entries: readonly Observation[]) => void) => FakeObserver;
  readonly IntersectionObserver: new (deliver: (entries: readonly Observation[]) => void) => FakeObserver;

  constructor(observers: FakeObserver[]) {
    // A class of each window: which one an observer is made with decides when it runs.
    const Own = class extends FakeObserver {
      constructor(deliver: (entries: readonly Observation[]) => void) {
        super(deliver);
        observers.push(this);
      }
    };
    this.ResizeObserver = Own;
    this.IntersectionObserver = Own;
  }
}

/** What stands in for a `Document`, with a window of its own. */
export class FakeDocument extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";
  pictureInPictureElement: FakeElement | null = null;
  defaultView: FakeWindow | null;
  readonly #observers: FakeObserver[] = [];

  constructor() {
    super();
    this.defaultView = new FakeWindow(this.#observers);
  }

  /** An element that is not in the document yet, as `createElement` gives it. */
  adopt(element: FakeElement): void {
    element.ownerDocument = this;
    element.isConnected = false;
  }

  /** Puts an element into this document, and takes it out of the one before; no event tells that. */
  append(element: FakeElement): void {
    element.ownerDocument = this;
    element.isConnected = true;
  }

  /** Gives an element its size, and scrolls it into the viewport or out of it. */
  layOut(element: FakeElement, clientWidth: number, clientHeight: number, isIntersecting = true): void {
    Object.assign(element, { clientWidth, clientHeight });
    if (this.visibilityState !== "visible") return;
    for (const observer of [...this.#observers]) {
      if (observer.elements.has(element)) observer.deliver([{ target: element, isIntersecting }]);
    }
  }

  /** The tab is put behind another, or in front. */
  show(visibilityState: DocumentVisibilityState): void {
    if (visibilityState === this.visibilityState) return;
    this.visibilityState = visibilityState;
    this.dispatchEvent(new Event("visibilitychange"));
  }

  /** The window is closed; what was in it stays in a document that nobody sees. */
  close(): void {
    if (this.defaultView !== null) this.defaultView.closed = true;
    this.defaultView = null;
  }

  /** Elements that are observed by anything of this window. */
  get observed(): number {
    return new Set(this.#observers.flatMap(({ elements }) => [...elements])).size;
  }
}
