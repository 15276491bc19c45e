// A real Firefox (Debian's ESR) under puppeteer-core, headless, with fake devices. It takes no loopback address
// into ICE, so its tests run in a network namespace with an address of its own: see in_namespace.sh.
// @ts-check
import puppeteer from "puppeteer-core";

const executablePath = process.env["NEXUS_FIREFOX"] ?? "/usr/bin/firefox-esr";

/** @returns {Promise<import("puppeteer-core").Browser>} */
export async function launchFirefox() {
  return puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    extraPrefsFirefox: {
      "media.navigator.permission.disabled": true,
      "media.navigator.streams.fake": true,
      "media.autoplay.default": 0,
      "media.autoplay.blocking_policy": 0,
      "media.autoplay.block-webaudio": false,
      "media.peerconnection.ice.obfuscate_host_addresses": false,
      "datareporting.policy.dataSubmissionEnabled": false,
      "app.update.enabled": false,
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
    },
  });
}
