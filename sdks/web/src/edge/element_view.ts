/**
 * How large, and whether at all, an element is seen: its size in device pixels, whether it is in the viewport, whether
 * the page is.
 *
 * An element outside of the document is taken for seen, at an unknown size: a page that draws it elsewhere (a canvas, a
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
interface Watched {
  readonly listener: Listener;
  inViewport: boolean;
}

const watched = new Map<Element, Watched>();
let resizing: ResizeObserver | null = null;
let intersecting: IntersectionObserver | null = null;

/** @internal */
export function observeElement(element: HTMLElement, listener: Listener): () => void {
  // Until the first observation nothing is known, and nothing is withheld.
  watched.set(element, { listener, inViewport: true });
  if (typeof ResizeObserver === "undefined" || typeof IntersectionObserver === "undefined") {
    listener({ width: 0, height: 0, visible: true });
    return () => watched.delete(element);
  }
  if (resizing === null) document.addEventListener("visibilitychange", tellAll);
  resizing ??= new ResizeObserver((entries) => entries.forEach(({ target }) => tell(target)));
  intersecting ??= new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const one = watched.get(target);
      if (one === undefined) continue;
      one.inViewport = isIntersecting;
      tell(target);
    }
  });
  resizing.observe(element);
  intersecting.observe(element);
  element.addEventListener("enterpictureinpicture", onPictureInPicture);
  element.addEventListener("leavepictureinpicture", onPictureInPicture);
  tell(element);
  return () => {
    watched.delete(element);
    resizing?.unobserve(element);
    intersecting?.unobserve(element);
    element.removeEventListener("enterpictureinpicture", onPictureInPicture);
    element.removeEventListener("leavepictureinpicture", onPictureInPicture);
  };
}

function tell(element: Element): void {
  const one = watched.get(element);
  if (one !== undefined) one.listener(viewOf(element, one.inViewport));
}

function tellAll(): void {
  for (const element of watched.keys()) tell(element);
}

function onPictureInPicture({ target }: Event): void {
  if (target instanceof Element) tell(target);
}

function viewOf(element: Element, inViewport: boolean): ElementView {
  if (!element.isConnected || document.pictureInPictureElement === element) return { width: 0, height: 0, visible: true };
  const { clientWidth, clientHeight } = element;
  const width = Math.round(clientWidth * devicePixelRatio);
  const height = Math.round(clientHeight * devicePixelRatio);
  const visible = inViewport && clientWidth > 0 && clientHeight > 0 && document.visibilityState === "visible";
  return { width, height, visible };
}
