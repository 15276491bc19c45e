/** The services of a room that its remote tracks use. */
import type { TrackId } from "../core/model.js";
import type { View } from "../core/views.js";
import type { ElementView } from "../edge/element_view.js";

/** What a room does for its remote tracks. @internal */
export interface TrackHost {
  /** The page wants to see it, or no longer. */
  wish(id: TrackId, wanted: boolean): void;
  /** The page looks at it in another way. */
  look(id: TrackId, view: View): void;
  observe(element: HTMLElement, listener: (view: ElementView) => void): () => void;
  subscribe(id: TrackId, subscribed: boolean): Promise<void>;
  /** An element has just shown a frame. */
  frameShown(id: TrackId): void;
  volumeChanged(): void;
}
