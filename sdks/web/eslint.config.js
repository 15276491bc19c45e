// Strict, type-aware linting, with a reason for each changed rule.
import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "demo/dist", "build", "api", "src/wire/schema.gen.ts", "**/*.mjs", "eslint.config.js"] },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Templates may contain numbers and booleans.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // `void promise.catch(…)` and `return void …` mark promises that are not awaited on purpose.
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/no-meaningless-void-operator": "off",
      "@typescript-eslint/explicit-function-return-type": ["error", { allowExpressions: true }],
      // Deadlines on a clock that steps end calls (docs/decisions/0024).
      "no-restricted-properties": ["error", { object: "Date", property: "now", message: "It steps: use Platform.monotonicMs()." }],
      "no-restricted-syntax": ["error", { selector: "ExportDefaultDeclaration", message: "Named exports only." }],
    },
  },
  {
    files: ["**/*.test.ts"],
    // `it` and `describe` have methods that need no `this`.
    rules: { "@typescript-eslint/unbound-method": "off" },
  },
  {
    files: ["vitest*.config.ts"],
    // vitest requires a default export.
    rules: { "no-restricted-syntax": "off" },
  },
);
