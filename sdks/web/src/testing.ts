/**
 * A surrounding without browser, camera or server: for tests of applications, and of this SDK.
 *
 * @packageDocumentation
 */
export {};
