/** The view of one remote track: its elements, their sizes, and the page's settings. */
import type { VideoLayer } from "../core/model.js";
import { DEFAULT_VIEW, type View } from "../core/views.js";
import type { ElementView } from "../edge/element_view.js";

/** The highest layers of a track to receive. */
export interface VideoLayerLimit {
  /** Maximum width in pixels; the lowest layer is always allowed. */
  readonly maxWidth?: number;
  /** The highest spatial layer (or encoding), 0 being the lowest. */
  readonly spatial?: number;
  /** The highest temporal layer, 0 being the lowest. */
  readonly temporal?: number;
}

/** Granularity of sizes in pixels, so that an animation does not cause a hundred requests. */
const STEP_PIXELS = 16;

/** @internal */
export class RemoteView {
  readonly #elements = new Map<object, ElementView>();
  #pinned = false;
  #priority = 0;
  #limit: VideoLayerLimit | null = null;

  get pinned(): boolean {
    return this.#pinned;
  }

  update(element: object, view: ElementView): void {
    this.#elements.set(element, view);
  }

  close(element: object): void {
    this.#elements.delete(element);
  }

  pin(pinned: boolean): void {
    this.#pinned = pinned;
  }

  prioritise(priority: number): void {
    this.#priority = Math.min(255, Math.max(0, Math.round(priority)));
  }

  limit(limit: VideoLayerLimit | null): void {
    this.#limit = limit;
  }

  /** The current view; `layers` are those of the track, low to high. */
  current(layers: readonly VideoLayer[]): View {
    const visible = [...this.#elements.values()].filter((view) => view.visible);
    // One element of unknown size makes the size unknown.
    const known = visible.every(({ width, height }) => width > 0 && height > 0);
    return {
      ...DEFAULT_VIEW,
      width: known ? stepped(Math.max(0, ...visible.map(({ width }) => width))) : 0,
      height: known ? stepped(Math.max(0, ...visible.map(({ height }) => height))) : 0,
      hidden: visible.length === 0,
      pinned: this.#pinned,
      priority: this.#priority,
      maxSpatial: this.#maxSpatial(layers),
      maxTemporal: this.#limit?.temporal,
    };
  }

  #maxSpatial(layers: readonly VideoLayer[]): number | undefined {
    const { spatial, maxWidth } = this.#limit ?? {};
    if (maxWidth === undefined || layers.length === 0) return spatial;
    const fitting = Math.max(0, layers.filter(({ width }) => width <= maxWidth).length - 1);
    return Math.min(spatial ?? fitting, fitting);
  }
}

const stepped = (pixels: number): number => Math.ceil(pixels / STEP_PIXELS) * STEP_PIXELS;
