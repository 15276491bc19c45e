/** Media elements that only remember: enough for `attach`, `detach` and the SDK's own audio. */
import type { FakeDocument } from "./fake_document.js";

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
