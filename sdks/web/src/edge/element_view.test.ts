/** Views of elements in a tab, a popup and a picture-in-picture window, also while they move between them. */
import { beforeEach, describe, expect, it } from "vitest";
import { FakeDocument, FakeElement, FakePlatform } from "../testing.js";
import { ElementViews, MOVE_CHECK_INTERVAL_MS, type ElementView } from "./element_view.js";

/** The views that `listener` received, without repetitions. */
class Received {
  readonly views: ElementView[] = [];
  readonly listener = (view: ElementView): void => {
    if (JSON.stringify(view) !== JSON.stringify(this.views.at(-1))) this.views.push(view);
  };

  get last(): ElementView | undefined {
    return this.views.at(-1);
  }
}

let platform: FakePlatform;
let views: ElementViews;
let tab: FakeDocument;
let popup: FakeDocument;
let element: FakeElement;
let reported: Received;
let stop: () => void;

beforeEach(() => {
  platform = new FakePlatform();
  views = new ElementViews((delayMs, run) => platform.setTimer(delayMs, run));
  [tab, popup] = [new FakeDocument(), new FakeDocument()];
  element = new FakeElement();
  reported = new Received();
  tab.append(element);
  stop = views.observe(element.asMediaElement(), reported.listener);
  tab.layOut(element, 320, 180);
});

const visible = { width: 320, height: 180, visible: true };
const hidden = { ...visible, visible: false };
const checks = (): Promise<void> => platform.advance(MOVE_CHECK_INTERVAL_MS);

describe("an element of one document", () => {
  it("is visible at its size in device pixels, in the viewport of a visible document", () => {
    expect(reported.last).toEqual(visible);
    tab.layOut(element, 320, 180, false);
    expect(reported.last).toEqual(hidden);
    tab.layOut(element, 320, 180, true);
    expect(reported.last).toEqual(visible);
    tab.show("hidden");
    expect(reported.last).toEqual(hidden);
    tab.show("visible");
    expect(reported.last).toEqual(visible);
  });

  it("is visible at an unknown size outside the document or in picture-in-picture", async () => {
    element.isConnected = false;
    await checks();
    expect(reported.last).toEqual({ width: 0, height: 0, visible: true });
    element.isConnected = true;
    await checks();
    expect(reported.last).toEqual(visible);
    tab.pictureInPictureElement = element;
    element.dispatchEvent(new Event("enterpictureinpicture"));
    tab.show("hidden");
    expect(reported.last).toEqual({ width: 0, height: 0, visible: true });
    tab.pictureInPictureElement = null;
    element.dispatchEvent(new Event("leavepictureinpicture"));
    expect(reported.last).toEqual(hidden);
  });

  it("is not observed after the end", async () => {
    stop();
    expect(tab.observed).toBe(0);
    const before = reported.views.length;
    tab.show("hidden");
    element.dispatchEvent(new Event("enterpictureinpicture"));
    popup.append(element);
    await platform.advance(10 * MOVE_CHECK_INTERVAL_MS);
    expect(reported.views).toHaveLength(before);
    expect(popup.observed).toBe(0);
    expect(platform.timers).toBe(0);
  });

  it("that is observed again has one listener, which the end of the first does not remove", () => {
    const second = new Received();
    const stopSecond = views.observe(element.asMediaElement(), second.listener);
    stop();
    tab.show("hidden");
    expect(second.last).toEqual(hidden);
    expect(reported.last).toEqual(visible);
    stopSecond();
    expect(tab.observed).toBe(0);
  });
});

describe("two documents, one hidden", () => {
  it("an element of the visible one is visible, whatever happens to the tab that runs the SDK", () => {
    const [inPopup, second] = [new FakeElement(), new Received()];
    popup.append(inPopup);
    views.observe(inPopup.asMediaElement(), second.listener);
    popup.layOut(inPopup, 400, 300);
    tab.show("hidden");
    expect(reported.last).toEqual(hidden);
    expect(second.last).toEqual({ width: 400, height: 300, visible: true });
    popup.layOut(inPopup, 800, 600);
    expect(second.last).toEqual({ width: 800, height: 600, visible: true });
    popup.show("hidden");
    expect(second.last).toEqual({ width: 800, height: 600, visible: false });
    tab.show("visible");
    expect(reported.last).toEqual(visible);
    expect(second.last).toEqual({ width: 800, height: 600, visible: false });
  });

  it("an element that moves is observed in its new document only", async () => {
    popup.append(element);
    await checks();
    expect([tab.observed, popup.observed]).toEqual([0, 1]);
    tab.show("hidden");
    popup.layOut(element, 640, 360);
    expect(reported.last).toEqual({ width: 640, height: 360, visible: true });
    popup.show("hidden");
    expect(reported.last).toEqual({ width: 640, height: 360, visible: false });
  });

  it("a move is noticed at once when an observer of the old document runs", () => {
    popup.append(element);
    popup.layOut(element, 640, 360);
    // The observers of the old document report that the element has left.
    tab.layOut(element, 640, 360, false);
    expect(reported.last).toEqual({ width: 640, height: 360, visible: true });
    expect([tab.observed, popup.observed]).toEqual([0, 1]);
  });

  it("a move is noticed at once when the old document is hidden right after it", () => {
    popup.append(element);
    tab.show("hidden");
    expect(reported.last).toEqual(visible);
    expect(popup.observed).toBe(1);
  });

  it("a move out of a hidden document is noticed by the next check", async () => {
    tab.show("hidden");
    popup.append(element);
    expect(reported.last).toEqual(hidden);
    await checks();
    expect(reported.last).toEqual(visible);
    tab.append(element);
    await checks();
    expect(reported.last).toEqual(hidden);
  });

  it("an element that was made in the hidden one and put into the other is noticed as well", async () => {
    const [made, second] = [new FakeElement(), new Received()];
    tab.show("hidden");
    tab.adopt(made);
    views.observe(made.asMediaElement(), second.listener);
    expect(second.last).toEqual({ width: 0, height: 0, visible: true });
    popup.append(made);
    popup.layOut(made, 100, 50);
    await checks();
    expect(second.last).toEqual({ width: 100, height: 50, visible: true });
  });

  it("sizes are in the pixels of the window that the element is in", async () => {
    if (popup.defaultView !== null) popup.defaultView.devicePixelRatio = 2;
    popup.append(element);
    await checks();
    expect(reported.last).toEqual({ width: 640, height: 360, visible: true });
  });

  it("an element of a closed window is invisible until it is moved back", async () => {
    popup.append(element);
    await checks();
    popup.close();
    await checks();
    expect(reported.last).toEqual({ width: 0, height: 0, visible: false });
    tab.append(element);
    await checks();
    expect(reported.last).toEqual(visible);
    expect(tab.observed).toBe(1);
  });
});
