/** An `RTCDataChannel` whose other end is the test. */
export class FakeDataChannel extends EventTarget {
  readonly label: string;
  readonly protocol: string;
  readonly ordered: boolean;
  readonly maxRetransmits: number | null;
  readonly maxPacketLifeTime: number | null;
  readyState: RTCDataChannelState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType: BinaryType = "arraybuffer";
  readonly sent: Uint8Array[] = [];

  constructor(label: string, init: RTCDataChannelInit = {}) {
    super();
    this.label = label;
    this.protocol = init.protocol ?? "";
    this.ordered = init.ordered ?? true;
    this.maxRetransmits = init.maxRetransmits ?? null;
    this.maxPacketLifeTime = init.maxPacketLifeTime ?? null;
  }

  send(message: Uint8Array): void {
    if (this.readyState !== "open") throw new DOMException("not open", "InvalidStateError");
    this.sent.push(message);
  }

  /** The server acknowledges the channel. */
  open(): void {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }

  /** The server closes the channel. */
  end(): void {
    this.readyState = "closed";
    this.dispatchEvent(new Event("close"));
  }

  /** The other end sends a message. */
  receive(message: Uint8Array): void {
    this.dispatchEvent(new MessageEvent("message", { data: message.slice().buffer }));
  }

  /** The network sends everything that was buffered. */
  drain(): void {
    this.bufferedAmount = 0;
    this.dispatchEvent(new Event("bufferedamountlow"));
  }
}
