/** The two parts of a message are joined in any order, and the memory for unfinished messages is bounded. */
import { describe, expect, it } from "vitest";
import type { DataEnvelope } from "./data_envelope.js";
import { DataParts, MAX_UNFINISHED } from "./data_parts.js";

const part = (sender: string, number: number, last: boolean, more: Partial<DataEnvelope> = {}): DataEnvelope => ({
  part: { number, last },
  text: false,
  fromServer: false,
  directed: false,
  sender,
  topic: "t",
  destinations: [],
  payload: Uint8Array.of(number, last ? 2 : 1),
  ...more,
});

describe("data parts", () => {
  it("are joined in either order, by sender and message", () => {
    const parts = new DataParts();
    expect(parts.take(part("a", 1, false))).toBeNull();
    expect(parts.take(part("b", 1, true))).toBeNull();
    expect(parts.take(part("a", 2, true))).toBeNull();
    expect(parts.take(part("a", 1, true, { fromServer: true }))).toBeNull();
    expect(parts.take(part("a", 1, true))).toMatchObject({ part: null, topic: "t", payload: Uint8Array.of(1, 1, 1, 2) });
    expect(parts.take(part("b", 1, false))).toMatchObject({ payload: Uint8Array.of(1, 1, 1, 2) });
    expect(parts.take(part("a", 1, true))).toBeNull();
  });

  it("are not joined with themselves", () => {
    const parts = new DataParts();
    expect(parts.take(part("a", 1, false))).toBeNull();
    expect(parts.take(part("a", 1, false))).toBeNull();
    expect(parts.take(part("a", 1, true))).not.toBeNull();
  });

  it("are dropped, the oldest first", () => {
    const parts = new DataParts();
    for (let number = 0; number <= MAX_UNFINISHED; number += 1) parts.take(part("a", number, false));
    expect(parts.take(part("a", 1, true))).not.toBeNull();
    expect(parts.take(part("a", 0, true))).toBeNull();
  });
});
