// Strict, type-aware linting; each rule that is changed says why.
import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "demo/dist", "build", "api", "src/wire/schema.gen.ts", "**/*.mjs", "eslint.config.js"] },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers and ids in messages and ids of sections are what templates are for.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // `void promise.catch(…)` and `return void …` say that nothing is awaited on purpose.
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/no-meaningless-void-operator": "off",
      "@typescript-eslint/explicit-function-return-type": ["error", { allowExpressions: true }],
      // Deadlines on a clock that is corrected now and then end calls (docs/decisions/0024).
      "no-restricted-properties": ["error", { object: "Date", property: "now", message: "It steps: use Platform.monotonicMs()." }],
      "no-restricted-syntax": ["error", { selector: "ExportDefaultDeclaration", message: "Named exports only." }],
    },
  },
  {
    files: ["**/*.test.ts"],
    // `it` and `describe` hand out methods that need no `this`.
    rules: { "@typescript-eslint/unbound-method": "off" },
  },
  {
    files: ["vitest*.config.ts"],
    // vitest asks for a default export.
    rules: { "no-restricted-syntax": "off" },
  },
);
