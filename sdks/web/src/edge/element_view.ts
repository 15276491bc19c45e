/**
 * Observes the visibility of elements: their size in device pixels, and whether they are in the viewport of a visible
 * document.
 *
 * Document and window are those of the element. An element may be in a popup, a Document Picture-in-Picture window or a
 * frame, and may move between them: the tab that runs the SDK may be hidden while the video is visible. The observers, too,
 * belong to the element's window, because a hidden window runs none.
 *
 * An element outside any document counts as visible, at an unknown size, because the page may draw it elsewhere (a canvas, a
 * texture). So does an element in picture-in-picture.
 */

/** The visibility of an element. */
export interface ElementView {
  /** In device pixels; 0 when unknown. */
  readonly width: number;
  readonly height: number;
  readonly visible: boolean;
}

type Listener = (view: ElementView) => void;
type SetTimer = (delayMs: number, run: () => void) => () => void;

/**
 * How often to check whether elements have moved to another document. No event reports such a move, and the observers of a
 * hidden document do not run. A move that observers do notice takes effect at once.
 */
export const MOVE_CHECK_INTERVAL_MS = 500;

const ANY_SIZE: ElementView = { width: 0, height: 0, visible: true };
const INVISIBLE: ElementView = { width: 0, height: 0, visible: false };

/** One element and its listener. */
interface Watched {
  readonly element: HTMLElement;
  readonly listener: Listener;
  inViewport: boolean;
  /** At the last check. */
  connected: boolean;
  closed: boolean;
  observer: DocumentObserver;
}

/** Observes elements in any document. @internal */
export class ElementViews {
  readonly #setTimer: SetTimer;
  readonly #watched = new Map<Element, Watched>();
  readonly #documents = new Map<Document, DocumentObserver>();
  #cancelCheck: (() => void) | null = null;

  constructor(setTimer: SetTimer) {
    this.#setTimer = setTimer;
  }

  /** Calls the listener with the element's view, now and on every change. Returns a function that ends it. */
  observe(element: HTMLElement, listener: Listener): () => void {
    this.#stop(element);
    const observer = this.#observerOf(element.ownerDocument);
    // Until the first observation the element counts as visible.
    const watched = { element, listener, inViewport: true, connected: element.isConnected, closed: isClosed(element), observer };
    this.#watched.set(element, watched);
    observer.add(element);
    element.addEventListener("enterpictureinpicture", this.#onPictureInPicture);
    element.addEventListener("leavepictureinpicture", this.#onPictureInPicture);
    listener(viewOf(watched));
    if (this.#cancelCheck === null) this.#scheduleCheck();
    return () => {
      if (this.#watched.get(element) === watched) this.#stop(element);
    };
  }

  #stop(element: HTMLElement): void {
    const watched = this.#watched.get(element);
    if (watched === undefined) return;
    this.#watched.delete(element);
    this.#leave(watched);
    element.removeEventListener("enterpictureinpicture", this.#onPictureInPicture);
    element.removeEventListener("leavepictureinpicture", this.#onPictureInPicture);
    if (this.#watched.size > 0) return;
    this.#cancelCheck?.();
    this.#cancelCheck = null;
  }

  readonly #onPictureInPicture = ({ currentTarget }: Event): void => {
    if (currentTarget !== null) this.#notify(currentTarget as Element);
  };

  #notify(element: Element, inViewport?: boolean): void {
    const watched = this.#watched.get(element);
    if (watched === undefined) return;
    // After a move, the old observer's last entry is not valid for the new document.
    if (!this.#follow(watched) && inViewport !== undefined) watched.inViewport = inViewport;
    watched.listener(viewOf(watched));
  }

  /** Whether the element has moved to another document; it is observed there from now on. */
  #follow(watched: Watched): boolean {
    const { ownerDocument } = watched.element;
    watched.connected = watched.element.isConnected;
    watched.closed = isClosed(watched.element);
    if (ownerDocument === watched.observer.document) return false;
    this.#leave(watched);
    watched.inViewport = true;
    watched.observer = this.#observerOf(ownerDocument);
    watched.observer.add(watched.element);
    return true;
  }

  #leave({ element, observer }: Watched): void {
    if (!observer.remove(element)) this.#documents.delete(observer.document);
  }

  #observerOf(document: Document): DocumentObserver {
    const known = this.#documents.get(document);
    if (known !== undefined) return known;
    const observer = new DocumentObserver(document, (element, inViewport) => this.#notify(element, inViewport));
    this.#documents.set(document, observer);
    return observer;
  }

  #scheduleCheck(): void {
    this.#cancelCheck = this.#setTimer(MOVE_CHECK_INTERVAL_MS, () => {
      this.#scheduleCheck();
      for (const watched of [...this.#watched.values()]) if (hasMoved(watched)) this.#notify(watched.element);
    });
  }
}

/** The elements of one document, observed with the observers of its window. */
class DocumentObserver {
  readonly document: Document;
  readonly #notify: (element: Element, inViewport?: boolean) => void;
  readonly #elements = new Set<Element>();
  readonly #resizing: ResizeObserver | null;
  readonly #intersecting: IntersectionObserver | null;

  constructor(document: Document, notify: (element: Element, inViewport?: boolean) => void) {
    this.document = document;
    this.#notify = notify;
    const { ResizeObserver, IntersectionObserver }: Partial<Window & typeof globalThis> = document.defaultView ?? {};
    const observable = ResizeObserver !== undefined && IntersectionObserver !== undefined;
    this.#resizing = observable ? new ResizeObserver((entries) => entries.forEach(({ target }) => notify(target))) : null;
    this.#intersecting = observable
      ? new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => notify(target, isIntersecting)))
      : null;
    document.addEventListener("visibilitychange", this.#onVisibility);
  }

  add(element: Element): void {
    this.#elements.add(element);
    this.#resizing?.observe(element);
    this.#intersecting?.observe(element);
  }

  /** False after the last element: the document is then no longer observed. */
  remove(element: Element): boolean {
    this.#elements.delete(element);
    this.#resizing?.unobserve(element);
    this.#intersecting?.unobserve(element);
    if (this.#elements.size > 0) return true;
    this.document.removeEventListener("visibilitychange", this.#onVisibility);
    return false;
  }

  readonly #onVisibility = (): void => {
    for (const element of [...this.#elements]) this.#notify(element);
  };
}

const hasMoved = ({ element, connected, closed, observer }: Watched): boolean =>
  element.ownerDocument !== observer.document || element.isConnected !== connected || isClosed(element) !== closed;

/** A document has no window after it was closed; the window of a popup that is closing is still there. */
const isClosed = ({ ownerDocument: { defaultView } }: Element): boolean => defaultView === null || defaultView.closed;

function viewOf({ element, inViewport }: Watched): ElementView {
  if (!element.isConnected || isInPictureInPicture(element)) return ANY_SIZE;
  const { ownerDocument } = element;
  const window: (Window & Partial<typeof globalThis>) | null = ownerDocument.defaultView;
  if (window === null || window.closed) return INVISIBLE;
  if (window.ResizeObserver === undefined || window.IntersectionObserver === undefined) return ANY_SIZE;
  const { clientWidth, clientHeight } = element;
  const width = Math.round(clientWidth * window.devicePixelRatio);
  const height = Math.round(clientHeight * window.devicePixelRatio);
  const visible = inViewport && clientWidth > 0 && clientHeight > 0 && ownerDocument.visibilityState === "visible";
  return { width, height, visible };
}

/** In a shadow tree, the tree has the element; the document only has the host (Picture-in-Picture, section 4). */
function isInPictureInPicture(element: Element): boolean {
  const root = element.getRootNode() as Partial<DocumentOrShadowRoot>;
  return root.pictureInPictureElement === element;
}
