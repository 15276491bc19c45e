/**
 * Media elements, documents and their windows without layout. A document stands for a tab, a popup or a Document
 * Picture-in-Picture window. As in a browser, the observers of a window run only while its document is visible.
 */

/** What stands in for an `HTMLMediaElement`. */
export class FakeElement extends EventTarget {
  /** Set by `FakeDocument.append`; null: how the element is seen is said by `FakePlatform.see`. */
  ownerDocument: FakeDocument | null = null;
  isConnected = false;
  clientWidth = 0;
  clientHeight = 0;
  srcObject: MediaStream | null = null;
  muted = false;
  autoplay = false;
  volume = 1;
  playing = false;
  /** The loudspeaker; empty: the system's own. */
  sinkId = "";
  /** The `DOMException` with which `setSinkId` refuses a device. */
  sinkRefusal: string | null = null;
  /** Every stream that was ever given, to find out whether a wrong one was. */
  readonly history: (MediaStream | null)[] = [];
  readonly #blocked: () => boolean;

  constructor(blocked: () => boolean = () => false) {
    super();
    this.#blocked = blocked;
  }

  getRootNode(): unknown {
    return this.ownerDocument ?? this;
  }

  setAttribute(): void {
    // Attributes are nobody's concern here.
  }

  play(): Promise<void> {
    this.history.push(this.srcObject);
    if (!this.muted && this.#blocked()) {
      return Promise.reject(new DOMException("play() needs a gesture", "NotAllowedError"));
    }
    this.playing = true;
    return Promise.resolve();
  }

  setSinkId(sinkId: string): Promise<void> {
    if (this.sinkRefusal !== null && sinkId !== "") return Promise.reject(new DOMException("refused", this.sinkRefusal));
    this.sinkId = sinkId;
    return Promise.resolve();
  }

  get paused(): boolean {
    return !this.playing;
  }

  pause(): void {
    this.playing = false;
  }

  /** As the type that the SDK's methods take. */
  asMediaElement(): HTMLVideoElement {
    return this as unknown as HTMLVideoElement;
  }
}

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
