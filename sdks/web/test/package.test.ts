/** The published package: its size, its version, its error codes. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, it } from "vitest";
import { SDK_VERSION } from "../src/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const BUDGET_BYTES = 40_000;

it("is smaller than its budget, including everything that it needs", async () => {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["src/index.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  const [bundle] = outputFiles;
  if (bundle === undefined) throw new Error("nothing was built");
  expect(bundle.text).not.toMatch(/^import /m);
  expect(gzipSync(bundle.contents, { level: 9 }).length).toBeLessThan(BUDGET_BYTES);
});

it("sends the version of its package to the server", () => {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { version: string };
  expect(SDK_VERSION).toBe(version);
});

it("has every client error code in the reference", () => {
  const source = readFileSync(`${root}src/core/error.ts`, "utf8").split("ClientErrorCode =")[1]?.split(";")[0] ?? "";
  const reference = readFileSync(`${root}../../docs/reference/errors.md`, "utf8").split("## In the browser")[1] ?? "";
  const codes = [...source.matchAll(/\| "([A-Z_]+)"/g)].map(([, code]) => code);
  const documented = [...reference.matchAll(/^- `([A-Z_]+)`: \S/gm)].map(([, code]) => code);
  expect(documented.sort()).toEqual(codes.sort());
});
