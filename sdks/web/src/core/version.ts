/** What the SDK calls itself towards the server. A test holds the version equal to package.json. */
export const SDK_NAME = "web";
export const SDK_VERSION = "0.1.0";
