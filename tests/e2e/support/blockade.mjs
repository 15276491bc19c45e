// Blocks the path between browsers and the media ports of the SFU, in the test's network namespace (see in_namespace.sh).
// @ts-check
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** @param {"udp" | "tcp"} protocol @param {number} port */
const rule = (protocol, port) => ["INPUT", "-p", protocol, "--dport", String(port), "-j", "DROP"];

/** Drops all packets of this protocol to the port. @param {"udp" | "tcp"} protocol @param {number} port */
export async function block(protocol, port) {
  await run("iptables", ["-w", "-I", ...rule(protocol, port)]);
}

/** Removes all blocks. */
export async function unblockAll() {
  await run("iptables", ["-w", "-F", "INPUT"]);
}
