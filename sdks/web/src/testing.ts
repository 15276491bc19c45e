/**
 * An environment without browser, camera or server, for tests of applications and of this SDK.
 *
 * @packageDocumentation
 */
export { FakeDataChannel } from "./testing/fake_data_channel.js";
export { FakeDeviceRequest, FakeDevices, FakeMediaStream, FakeMediaStreamTrack, type FakeSize } from "./testing/fake_media.js";
export { FakeDocument, FakeElement, FakeWindow } from "./testing/fake_page.js";
export { FakePeerConnection, FakeReceiver, FakeSender, FakeTransceiver } from "./testing/fake_peer.js";
export { FakePlatform } from "./testing/fake_platform.js";
export { FakeServer, type ReceivedRequest, type Responder, type ServerBody } from "./testing/fake_server.js";
