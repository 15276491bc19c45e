/**
 * How large, and whether at all, an element is seen: its size in device pixels, whether it is in the viewport, whether
 * its document is visible.
 *
 * All of that is asked of the element's own document and window. An element may live in a popup, in a Document
 * Picture-in-Picture window or in a frame, and move between them: the tab that runs the SDK may be hidden while the picture
 * is in front of everything. Observers, too, are those of the element's window, as a window that is not drawn runs none.
 *
 * An element outside of any document is taken for seen, at an unknown size: a page that draws it elsewhere (a canvas, a
 * texture) has its reasons. So is one in picture-in-picture.
 */

/** How an element is seen. */
export interface ElementView {
  /** In device pixels; 0: not known. */
  readonly width: number;
  readonly height: number;
  readonly visible: boolean;
}

type Listener = (view: ElementView) => void;
type SetTimer = (delayMs: number, run: () => void) => () => void;

/**
 * How often elements are looked up in their documents. No event tells that an element has moved to another document, and
 * the observers of a hidden one do not run; a move that they do see is noticed at once.
 */
export const MOVE_CHECK_INTERVAL_MS = 500;

const ANY_SIZE: ElementView = { width: 0, height: 0, visible: true };
const UNSEEN: ElementView = { width: 0, height: 0, visible: false };

/** One element and its listener. */
interface Watched {
  readonly element: HTMLElement;
  readonly listener: Listener;
  inViewport: boolean;
  /** Of the last look. */
  connected: boolean;
  closed: boolean;
  observer: DocumentObserver;
}

/** Watches elements in whatever documents they are. @internal */
export class ElementViews {
  readonly #setTimer: SetTimer;
  readonly #watched = new Map<Element, Watched>();
  readonly #documents = new Map<Document, DocumentObserver>();
  #cancelCheck: (() => void) | null = null;

  constructor(setTimer: SetTimer) {
    this.#setTimer = setTimer;
  }

  /** Tells how the element is seen, now and whenever that changes; what is returned ends it. */
  observe(element: HTMLElement, listener: Listener): () => void {
    this.#stop(element);
    const observer = this.#observerOf(element.ownerDocument);
    // Until the first observation nothing is known, and nothing is withheld.
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
    if (currentTarget !== null) this.#tell(currentTarget as Element);
  };

  #tell(element: Element, inViewport?: boolean): void {
    const watched = this.#watched.get(element);
    if (watched === undefined) return;
    // An observer's last word about an element that has left its document says nothing of the new one.
    if (!this.#follow(watched) && inViewport !== undefined) watched.inViewport = inViewport;
    watched.listener(viewOf(watched));
  }

  /** Whether the element was found in another document than before; it is observed there from now on. */
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
    const observer = new DocumentObserver(document, (element, inViewport) => this.#tell(element, inViewport));
    this.#documents.set(document, observer);
    return observer;
  }

  #scheduleCheck(): void {
    this.#cancelCheck = this.#setTimer(MOVE_CHECK_INTERVAL_MS, () => {
      this.#scheduleCheck();
      for (const watched of [...this.#watched.values()]) if (hasMoved(watched)) this.#tell(watched.element);
    });
  }
}

/** The elements of one document, observed by what its own window has. */
class DocumentObserver {
  readonly document: Document;
  readonly #tell: (element: Element, inViewport?: boolean) => void;
  readonly #elements = new Set<Element>();
  readonly #resizing: ResizeObserver | null;
  readonly #intersecting: IntersectionObserver | null;

  constructor(document: Document, tell: (element: Element, inViewport?: boolean) => void) {
    this.document = document;
    this.#tell = tell;
    const { ResizeObserver, IntersectionObserver }: Partial<Window & typeof globalThis> = document.defaultView ?? {};
    const observable = ResizeObserver !== undefined && IntersectionObserver !== undefined;
    this.#resizing = observable ? new ResizeObserver((entries) => entries.forEach(({ target }) => tell(target))) : null;
    this.#intersecting = observable
      ? new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => tell(target, isIntersecting)))
      : null;
    document.addEventListener("visibilitychange", this.#onVisibility);
  }

  add(element: Element): void {
    this.#elements.add(element);
    this.#resizing?.observe(element);
    this.#intersecting?.observe(element);
  }

  /** False after the last element: then nothing is observed any more. */
  remove(element: Element): boolean {
    this.#elements.delete(element);
    this.#resizing?.unobserve(element);
    this.#intersecting?.unobserve(element);
    if (this.#elements.size > 0) return true;
    this.document.removeEventListener("visibilitychange", this.#onVisibility);
    return false;
  }

  readonly #onVisibility = (): void => {
    for (const element of [...this.#elements]) this.#tell(element);
  };
}

const hasMoved = ({ element, connected, closed, observer }: Watched): boolean =>
  element.ownerDocument !== observer.document || element.isConnected !== connected || isClosed(element) !== closed;

/** A document whose window is closed has none any more; a popup that is just closing still has. */
const isClosed = ({ ownerDocument: { defaultView } }: Element): boolean => defaultView === null || defaultView.closed;

function viewOf({ element, inViewport }: Watched): ElementView {
  if (!element.isConnected || isInPictureInPicture(element)) return ANY_SIZE;
  const { ownerDocument } = element;
  const window: (Window & Partial<typeof globalThis>) | null = ownerDocument.defaultView;
  if (window === null || window.closed) return UNSEEN;
  if (window.ResizeObserver === undefined || window.IntersectionObserver === undefined) return ANY_SIZE;
  const { clientWidth, clientHeight } = element;
  const width = Math.round(clientWidth * window.devicePixelRatio);
  const height = Math.round(clientHeight * window.devicePixelRatio);
  const visible = inViewport && clientWidth > 0 && clientHeight > 0 && ownerDocument.visibilityState === "visible";
  return { width, height, visible };
}

/** In a shadow tree it is that tree which names the element; its document names the host (Picture-in-Picture, section 4). */
function isInPictureInPicture(element: Element): boolean {
  const root = element.getRootNode() as Partial<DocumentOrShadowRoot>;
  return root.pictureInPictureElement === element;
}
