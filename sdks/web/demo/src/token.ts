/** The development token endpoint of signaling (docs/architecture/contracts.md); a real application has its own server. */

export interface DevelopmentToken {
  readonly token: string;
  readonly appId: string;
}

/** An identity of the name and a random number, so that two users of one name are two participants. */
function inventIdentity(name: string): string {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  const slug = name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  return `${slug === "" ? "guest" : slug}-${random.toString(36)}`;
}

export async function fetchToken(room: string, name: string, record: boolean): Promise<DevelopmentToken> {
  const response = await fetch("/v1/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ room, identity: inventIdentity(name), name, record }),
  });
  if (!response.ok) throw new Error(`the token endpoint answered ${response.status}`);
  const answer = (await response.json()) as { token: string; app_id: string };
  return { token: answer.token, appId: answer.app_id };
}
