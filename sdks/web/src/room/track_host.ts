/** The seam between a room and its remote tracks. */
import type { TrackId } from "../core/model.js";
import type { View } from "../core/views.js";
import type { ElementView } from "../edge/element_view.js";

/** The services of a room for its remote tracks. @internal */
export interface TrackHost {
  /** Asks for a slot, or releases it. */
  bind(id: TrackId, bound: boolean): void;
  /** The page views the track in another way. */
  view(id: TrackId, view: View): void;
  observe(element: HTMLElement, listener: (view: ElementView) => void): () => void;
  subscribe(id: TrackId, subscribed: boolean): Promise<void>;
  /** An element has shown a frame. */
  frameShown(id: TrackId): void;
  volumeChanged(): void;
}
