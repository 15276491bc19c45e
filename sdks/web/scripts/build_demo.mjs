/** Builds the demo page into demo/dist: scripts, a style sheet and pages. Signaling serves the folder at `/`. */
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const demo = fileURLToPath(new URL("../demo/", import.meta.url));
rmSync(`${demo}dist`, { recursive: true, force: true });
mkdirSync(`${demo}dist`, { recursive: true });
await build({
  absWorkingDir: demo,
  entryPoints: { demo: "src/main.ts", recordings: "src/recordings_main.ts", style: "src/style.css" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  sourcemap: true,
  // The page uses the SDK like any application.
  alias: { "@nexus-rtc/web": "../src/index.ts" },
  logLevel: "warning",
});
for (const page of ["index.html", "recordings.html"]) copyFileSync(`${demo}${page}`, `${demo}dist/${page}`);
