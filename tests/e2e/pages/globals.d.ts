// The test page's object, for the type checker.
export {};
declare global {
  interface Window {
    participant: any;
    nexusDemo: any;
  }
}
