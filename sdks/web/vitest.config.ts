import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["src/**/*.test.ts", "test/**/*.test.ts", "demo/**/*.test.ts"], exclude: ["test/browser/**"], testTimeout: 60_000 },
});
