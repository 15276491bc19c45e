import { expect, it } from "vitest";
import { lengthText, sizeText } from "./recording_texts.js";

it.each([
  [0, "0 bytes"],
  [999, "999 bytes"],
  [1_500, "1.5 kB"],
  [123_456_789, "123 MB"],
  [5e12, "5.0 TB"],
  [5e15, "5000 TB"],
])("%i bytes are %s", (bytes, text) => expect(sizeText(bytes)).toBe(text));

it.each([
  [-1, "0:00"],
  [59_400, "0:59"],
  [61_000, "1:01"],
  [3_723_000, "1:02:03"],
])("%i ms are %s", (milliseconds, text) => expect(lengthText(milliseconds)).toBe(text));
