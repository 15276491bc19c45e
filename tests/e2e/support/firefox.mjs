// A real Firefox (Debian's ESR) under puppeteer-core, headless, with fake devices. It uses no loopback address for ICE, so
// its tests run in a network namespace with another address (see in_namespace.sh).
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import puppeteer from "puppeteer-core";

import { eventually } from "./wait.mjs";

const executablePath = process.env["NEXUS_FIREFOX"] ?? "/usr/bin/firefox-esr";

/**
 * A sound server without a sound card, because Firefox starts no audio graph without an output device.
 * @returns {Promise<{server: string, close: () => Promise<void>}>}
 */
async function startSilentSpeaker() {
  const folder = await mkdtemp(join(tmpdir(), "nexus-pulse-"));
  const socket = join(folder, "native");
  const child = spawn(
    "pulseaudio",
    ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", "module-null-sink", "-L", `module-native-protocol-unix socket=${socket} auth-anonymous=1`],
    { stdio: "ignore", env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder } },
  );
  const failed = once(child, "error").then(([error]) => Promise.reject(error));
  await Promise.race([failed, eventually("the sound server", () => existsSync(socket))]);
  return {
    server: `unix:${socket}`,
    async close() {
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns {Promise<import("puppeteer-core").Browser>} */
export async function launchFirefox() {
  const speaker = await startSilentSpeaker();
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    env: { ...process.env, PULSE_SERVER: speaker.server },
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
  const close = browser.close.bind(browser);
  browser.close = async () => {
    await close();
    await speaker.close();
  };
  return browser;
}
