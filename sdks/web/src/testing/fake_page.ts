/**
 * Media elements, documents and their windows without layout. A document stands for a tab, a popup or a Document
 * Picture-in-Picture window. As in a browser, the observers of a window run only while its document is visible.
 */

/** A fake `HTMLMediaElement`. */
export class FakeElement extends EventTarget {
  /** Set by `FakeDocument.append`; while null, `FakePlatform.see` sets the view of the element. */
  ownerDocument: FakeDocument | null = null;
  isConnected = false;
  clientWidth = 0;
  clientHeight = 0;
  srcObject: MediaStream | null = null;
  muted = false;
  autoplay = false;
  volume = 1;
  playing = false;
  /** The speaker; empty for the system's default. */
  sinkId = "";
  /** Name of the `DOMException` with which `setSinkId` rejects a device. */
  sinkRefusal: string | null = null;
  /** Every stream that was played, so that a test can find a wrong one. */
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
    // Attributes have no effect.
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

/** The common part of `ResizeObserver` and `IntersectionObserver`. */
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

/** A fake `Window`: the `defaultView` of a `FakeDocument`. */
export class FakeWindow {
  devicePixelRatio = 1;
  closed = false;
  readonly ResizeObserver: new (deliver: (entries: readonly Observation[]) => void) => FakeObserver;
  readonly IntersectionObserver: new (deliver: (entries: readonly Observation[]) => void) => FakeObserver;

  constructor(observers: FakeObserver[]) {
    // Each window has a class of its own, because the window of an observer's class decides when the observer runs.
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

/** A fake `Document` with a window of its own. */
export class FakeDocument extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";
  pictureInPictureElement: FakeElement | null = null;
  defaultView: FakeWindow | null;
  readonly #observers: FakeObserver[] = [];

  constructor() {
    super();
    this.defaultView = new FakeWindow(this.#observers);
  }

  /** Makes an element of this document without adding it, as `createElement` does. */
  adopt(element: FakeElement): void {
    element.ownerDocument = this;
    element.isConnected = false;
  }

  /** Moves an element into this document. As in a browser, no event reports it. */
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

  /** Puts the tab behind another one, or in front. */
  show(visibilityState: DocumentVisibilityState): void {
    if (visibilityState === this.visibilityState) return;
    this.visibilityState = visibilityState;
    this.dispatchEvent(new Event("visibilitychange"));
  }

  /** Closes the window. Its elements stay in a document that is not visible. */
  close(): void {
    if (this.defaultView !== null) this.defaultView.closed = true;
    this.defaultView = null;
  }

  /** Number of elements that observers of this window observe. */
  get observed(): number {
    return new Set(this.#observers.flatMap(({ elements }) => [...elements])).size;
  }
}
