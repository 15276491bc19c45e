/** Name and version that the SDK sends to the server. A test compares the version with package.json. */
export const SDK_NAME = "web";
export const SDK_VERSION = "0.1.0";
