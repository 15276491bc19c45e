/**
 * Switches a sender's encodings on and off as they are watched, and scales them as the source's size demands: one
 * `setParameters` at a time, the newest wish wins.
 */
import { wantedEncodings, type EncodingPlan, type SendEncoding } from "../core/encodings.js";
import type { WantedLayers } from "../core/model.js";

/** The part of an `RTCRtpSender` that this needs. */
export type ParameterSender = Pick<RTCRtpSender, "getParameters" | "setParameters">;

/** @internal */
export class SenderLayers {
  #plan: EncodingPlan;
  readonly #sender: ParameterSender;
  #wanted: WantedLayers | null = null;
  #stale = false;
  #applying = false;

  constructor(sender: ParameterSender, plan: EncodingPlan) {
    this.#sender = sender;
    this.#plan = plan;
  }

  get plan(): EncodingPlan {
    return this.#plan;
  }

  /** Another plan for the same encodings. */
  replan(plan: EncodingPlan): void {
    this.#plan = plan;
    this.apply();
  }

  want(wanted: WantedLayers | null): void {
    this.#wanted = wanted;
    this.apply();
  }

  /** Again after each answer: applying it, browsers may have switched encodings by its a=simulcast (RFC 8853). */
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
      // Refused while a description is being applied, or after the end: the next answer applies it again.
      await this.#sender.setParameters(parameters).catch(() => undefined);
    }
    this.#applying = false;
  }

  /** Whether anything has to change. */
  #shape(encodings: readonly SendEncoding[]): boolean {
    let changed = false;
    wantedEncodings(this.#plan, this.#wanted).forEach(({ active, maxBitrate }, index) => {
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
