// Limits the path from the SFU to one participant, in the test's network namespace (see in_namespace.sh): packets to the
// participant's port pass a token bucket (tc-tbf), or are dropped at random (iptables).
// @ts-check
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const tc = (/** @type {string} */ command) => run("tc", command.split(" "));

/** A rate that is no limit in these tests. */
const WIDE = "rate 10gbit quantum 60000";

/**
 * Limits UDP to these ports to `kbits` kbit/s in all.
 * @param {readonly number[]} ports @param {number} kbits
 */
export async function narrow(ports, kbits) {
  await tc("qdisc replace dev lo root handle 1: htb default 10");
  await tc(`class replace dev lo parent 1: classid 1:10 htb ${WIDE}`);
  await tc(`class replace dev lo parent 1: classid 1:30 htb ${WIDE}`);
  await setRate(kbits, "add");
  for (const port of ports) {
    await tc(`filter add dev lo parent 1: protocol ip prio 1 u32 match ip protocol 17 0xff match ip dport ${port} 0xffff flowid 1:30`);
  }
}

/** Sets the rate for the same ports, with bursts of 4 kB (a few packets) and a queue of 200 ms. @param {number} kbits @param {"add" | "change"} [verb] */
export async function setRate(kbits, verb = "change") {
  await tc(`qdisc ${verb} dev lo parent 1:30 handle 30: tbf rate ${kbits}kbit burst 4kb latency 200ms`);
}

/** Drops this share of the UDP packets to the port. @param {number} port @param {number} share */
export async function lose(port, share) {
  const rule = ["INPUT", "-p", "udp", "--dport", String(port), "-m", "statistic", "--mode", "random", "--probability", String(share), "-j", "DROP"];
  await run("iptables", ["-w", "-A", ...rule]);
}

/** Removes all limits. */
export async function widen() {
  await tc("qdisc del dev lo root").catch(() => undefined);
  await run("iptables", ["-w", "-F", "INPUT"]);
}
