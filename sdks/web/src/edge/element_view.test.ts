/** How elements are seen in a tab, a popup and a picture-in-picture window, and when they move between them. */
import { beforeEach, describe, expect, it } from "vitest";
import { FakeDocument, FakeElement, FakePlatform } from "../testing.js";
import { ElementViews, MOVE_CHECK_INTERVAL_MS, type ElementView } from "./element_view.js";

/** What `listener` was told, without repetitions: telling the same twice changes nothing. */
class Told {
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
let told: Told;
let stop: () => void;

beforeEach(() => {
  platform = new FakePlatform();
  views = new ElementViews((delayMs, run) => platform.setTimer(delayMs, run));
  [tab, popup] = [new FakeDocument(), new FakeDocument()];
  element = new FakeElement();
  told = new Told();
  tab.append(element);
  stop = views.observe(element.asMediaElement(), told.listener);
  tab.layOut(element, 320, 180);
});

const seen = { width: 320, height: 180, visible: true };
const hidden = { ...seen, visible: false };
const checks = (): Promise<void> => platform.advance(MOVE_CHECK_INTERVAL_MS);

describe("an element of one document", () => {
  it("is seen at its size in device pixels, in the viewport of a visible document", () => {
    expect(told.last).toEqual(seen);
    tab.layOut(element, 320, 180, false);
    expect(told.last).toEqual(hidden);
    tab.layOut(element, 320, 180, true);
    expect(told.last).toEqual(seen);
    tab.show("hidden");
    expect(told.last).toEqual(hidden);
    tab.show("visible");
    expect(told.last).toEqual(seen);
  });

  it("outside of it, or in picture-in-picture, is seen at any size", async () => {
    element.isConnected = false;
    await checks();
    expect(told.last).toEqual({ width: 0, height: 0, visible: true });
    element.isConnected = true;
    await checks();
    expect(told.last).toEqual(seen);
    tab.pictureInPictureElement = element;
    element.dispatchEvent(new Event("enterpictureinpicture"));
    tab.show("hidden");
    expect(told.last).toEqual({ width: 0, height: 0, visible: true });
    tab.pictureInPictureElement = null;
    element.dispatchEvent(new Event("leavepictureinpicture"));
    expect(told.last).toEqual(hidden);
  });

  it("leaves nothing behind when it is not watched any more", async () => {
    stop();
    expect(tab.observed).toBe(0);
    const before = told.views.length;
    tab.show("hidden");
    element.dispatchEvent(new Event("enterpictureinpicture"));
    popup.append(element);
    await platform.advance(10 * MOVE_CHECK_INTERVAL_MS);
    expect(told.views).toHaveLength(before);
    expect(popup.observed).toBe(0);
    expect(platform.timers).toBe(0);
  });

  it("watched anew has one listener, which the end of the first does not take away", () => {
    const second = new Told();
    const stopSecond = views.observe(element.asMediaElement(), second.listener);
    stop();
    tab.show("hidden");
    expect(second.last).toEqual(hidden);
    expect(told.last).toEqual(seen);
    stopSecond();
    expect(tab.observed).toBe(0);
  });
});

describe("two documents, one hidden", () => {
  it("an element of the visible one is seen, whatever becomes of the tab that runs the SDK", () => {
    const [inPopup, second] = [new FakeElement(), new Told()];
    popup.append(inPopup);
    views.observe(inPopup.asMediaElement(), second.listener);
    popup.layOut(inPopup, 400, 300);
    tab.show("hidden");
    expect(told.last).toEqual(hidden);
    expect(second.last).toEqual({ width: 400, height: 300, visible: true });
    popup.layOut(inPopup, 800, 600);
    expect(second.last).toEqual({ width: 800, height: 600, visible: true });
    popup.show("hidden");
    expect(second.last).toEqual({ width: 800, height: 600, visible: false });
    tab.show("visible");
    expect(told.last).toEqual(seen);
    expect(second.last).toEqual({ width: 800, height: 600, visible: false });
  });

  it("an element that moves is observed where it is now, and no longer where it was", async () => {
    popup.append(element);
    await checks();
    expect([tab.observed, popup.observed]).toEqual([0, 1]);
    tab.show("hidden");
    popup.layOut(element, 640, 360);
    expect(told.last).toEqual({ width: 640, height: 360, visible: true });
    popup.show("hidden");
    expect(told.last).toEqual({ width: 640, height: 360, visible: false });
  });

  it("a move is noticed at once by what the old document still tells", () => {
    popup.append(element);
    popup.layOut(element, 640, 360);
    // The old document's observers say that it is gone from there.
    tab.layOut(element, 640, 360, false);
    expect(told.last).toEqual({ width: 640, height: 360, visible: true });
    expect([tab.observed, popup.observed]).toEqual([0, 1]);
  });

  it("a move is noticed at once when the old document is hidden right after it", () => {
    popup.append(element);
    tab.show("hidden");
    expect(told.last).toEqual(seen);
    expect(popup.observed).toBe(1);
  });

  it("a move out of a document that is hidden already is noticed by looking", async () => {
    tab.show("hidden");
    popup.append(element);
    expect(told.last).toEqual(hidden);
    await checks();
    expect(told.last).toEqual(seen);
    tab.append(element);
    await checks();
    expect(told.last).toEqual(hidden);
  });

  it("so is an element that was made in the hidden one and put into the other", async () => {
    const [made, second] = [new FakeElement(), new Told()];
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
    expect(told.last).toEqual({ width: 640, height: 360, visible: true });
  });

  it("an element of a window that was closed is not seen, and is again when it is brought back", async () => {
    popup.append(element);
    await checks();
    popup.close();
    await checks();
    expect(told.last).toEqual({ width: 0, height: 0, visible: false });
    tab.append(element);
    await checks();
    expect(told.last).toEqual(seen);
    expect(tab.observed).toBe(1);
  });
});
