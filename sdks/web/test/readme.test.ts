/** The programs of README.md compile against the SDK as they stand. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const PROGRAM = `${root}test/readme_program.ts`;
/** The declarations of the application. */
const PRELUDE = "declare const userId: string, roomId: string;\ndeclare function fetchToken(user: string, room: string): Promise<string>;\n";

it("shows programs that compile", () => {
  const readme = readFileSync(`${root}README.md`, "utf8");
  const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = ""]) => program);
  expect(programs.length).toBeGreaterThan(4);
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (path, language, ...more) =>
    path === PROGRAM ? ts.createSourceFile(path, PRELUDE + programs.join("\n"), language) : getSourceFile(path, language, ...more);
  const program = ts.createProgram([PROGRAM], options, host);
  const messages = program.getSemanticDiagnostics(program.getSourceFile(PROGRAM)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  expect([...messages, ...program.getGlobalDiagnostics()]).toEqual([]);
});
