// Makes the way from the SFU to one participant narrow or lossy, in the test's own network namespace (see
// in_namespace.sh): what goes to the participant's port passes a token bucket (tc-tbf), or loses packets (iptables).
// @ts-check
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const tc = (/** @type {string} */ command) => run("tc", command.split(" "));

/** Everything takes the first band; the third is the narrow one. */
const ROOT = "qdisc replace dev lo root handle 1: prio bands 3 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";

/**
 * UDP to these ports shares `kbits` kbit/s from now on.
 * @param {readonly number[]} ports @param {number} kbits
 */
export async function narrow(ports, kbits) {
  await tc(ROOT);
  // 4 kB: a few packets; 200 ms of queue, then it drops.
  await tc(`qdisc replace dev lo parent 1:3 handle 30: tbf rate ${kbits}kbit burst 4kb latency 200ms`);
  for (const port of ports) {
    await tc(`filter add dev lo parent 1: protocol ip prio 1 u32 match ip protocol 17 0xff match ip dport ${port} 0xffff flowid 1:3`);
  }
}

/** Another rate for the same ports. @param {number} kbits */
export async function setRate(kbits) {
  await tc(`qdisc change dev lo parent 1:3 handle 30: tbf rate ${kbits}kbit burst 4kb latency 200ms`);
}

/** UDP to this port loses so large a share of its packets. @param {number} port @param {number} share */
export async function lose(port, share) {
  const rule = ["INPUT", "-p", "udp", "--dport", String(port), "-m", "statistic", "--mode", "random", "--probability", String(share), "-j", "DROP"];
  await run("iptables", ["-w", "-A", ...rule]);
}

/** As it was before. */
export async function widen() {
  await tc("qdisc del dev lo root").catch(() => undefined);
  await run("iptables", ["-w", "-F", "INPUT"]);
}
