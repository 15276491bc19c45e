// Makes the way from the SFU to one participant narrow or lossy, in the test's own network namespace (see
// in_namespace.sh): what goes to the participant's port passes a token bucket (tc-tbf), or loses packets (iptables).
// @ts-check
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const tc = (/** @type {string} */ command) => run("tc", command.split(" "));

/** Wide enough to be no limit here; a bucket of this rate still counts every packet. */
const WIDE = "rate 10gbit quantum 60000";

/**
 * UDP to these ports shares `kbits` kbit/s from now on.
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

/** Another rate for the same ports: 4 kB at once, a few packets; 200 ms of queue, then it drops. @param {number} kbits @param {"add" | "change"} [verb] */
export async function setRate(kbits, verb = "change") {
  await tc(`qdisc ${verb} dev lo parent 1:30 handle 30: tbf rate ${kbits}kbit burst 4kb latency 200ms`);
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
