/** Sizes, lengths and sources of recordings as texts. */
import type { RecordedFile, Recording } from "@nexus-rtc/web";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit] ?? ""}`;
}

/** Minutes and seconds, and hours if there are any. */
export function lengthText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Facts about a recording beside its state. */
export function factsText({ startedAtMs, endedAtMs, startedBy, files, storedBytes }: Recording): string {
  const facts = [
    startedAtMs > 0 && endedAtMs > startedAtMs ? lengthText(endedAtMs - startedAtMs) : "",
    files.length > 0 ? `${files.length} ${files.length === 1 ? "file" : "files"}` : "",
    storedBytes > 0 ? sizeText(storedBytes) : "",
    startedBy === "" ? "" : `started by ${startedBy}`,
  ];
  return facts.filter((fact) => fact !== "").join(" · ");
}

export function fileText({ sources, durationMs, bytes }: RecordedFile): string {
  return [sources.join(" and "), lengthText(durationMs), sizeText(bytes)].filter((fact) => fact !== "").join(" · ");
}
