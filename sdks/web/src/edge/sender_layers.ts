/**
 * Switches a sender's encodings on and off with the demand of subscribers, and scales them with the size of the source: one
 * `setParameters` at a time, the newest state last.
 */
import { demandedEncodings, type EncodingPlan, type SendEncoding } from "../core/encodings.js";
import type { LayerDemand } from "../core/model.js";

/** The part of an `RTCRtpSender` that is used here. */
export type ParameterSender = Pick<RTCRtpSender, "getParameters" | "setParameters">;

/** @internal */
export class SenderLayers {
  #plan: EncodingPlan;
  readonly #sender: ParameterSender;
  #demand: LayerDemand | null = null;
  #stale = false;
  #applying = false;

  constructor(sender: ParameterSender, plan: EncodingPlan) {
    this.#sender = sender;
    this.#plan = plan;
  }

  get plan(): EncodingPlan {
    return this.#plan;
  }

  /** Sets a new plan for the same encodings. */
  replan(plan: EncodingPlan): void {
    this.#plan = plan;
    this.apply();
  }

  setDemand(demand: LayerDemand | null): void {
    this.#demand = demand;
    this.apply();
  }

  /** Applies the state, also after each answer: browsers may have switched encodings by its a=simulcast (RFC 8853). */
  apply(): void {
    this.#stale = true;
    if (!this.#applying) void this.#work();
  }

  async #work(): Promise<void> {
    this.#applying = true;
    while (this.#stale) {
      this.#stale = false;
      const parameters = this.#sender.getParameters();
      if (!this.#shape(parameters.encodings)) continue;
      // Rejected while a description is being applied, or after the end. The next answer applies the state again.
      await this.#sender.setParameters(parameters).catch(() => undefined);
    }
    this.#applying = false;
  }

  /** Writes the state into the encodings; false if nothing has changed. */
  #shape(encodings: readonly SendEncoding[]): boolean {
    let changed = false;
    demandedEncodings(this.#plan, this.#demand).forEach(({ active, maxBitrate }, index) => {
      const encoding = encodings[index];
      if (encoding === undefined) return;
      const scale = this.#plan.encodings[index]?.scaleResolutionDownBy;
      const scaled = scale === undefined || encoding.scaleResolutionDownBy === scale;
      if ((encoding.active ?? true) === active && encoding.maxBitrate === maxBitrate && scaled) return;
      changed = true;
      encoding.active = active;
      if (maxBitrate !== undefined) encoding.maxBitrate = maxBitrate;
      if (scale !== undefined) encoding.scaleResolutionDownBy = scale;
    });
    return changed;
  }
}
