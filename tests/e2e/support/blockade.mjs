// Cuts the path between browsers and the SFU's media ports, in the test's own network namespace (see in_namespace.sh).
// @ts-check
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** @param {"udp" | "tcp"} protocol @param {number} port */
const rule = (protocol, port) => ["INPUT", "-p", protocol, "--dport", String(port), "-j", "DROP"];

/** Packets of this protocol to the port are lost from now on. @param {"udp" | "tcp"} protocol @param {number} port */
export async function block(protocol, port) {
  await run("iptables", ["-w", "-I", ...rule(protocol, port)]);
}

/** Takes every blockade away. */
export async function unblockAll() {
  await run("iptables", ["-w", "-F", "INPUT"]);
}
