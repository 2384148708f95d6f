"use strict";
// What became of every node of a tree: read from the decisions of the strategy.

/** Adds to a tree what the views need: children, paths, fates, scores. Done once per tree. */
tts.prepared = function (tree) {
  if (tree.ready) return tree;
  const count = tree.uid.length;
  tree.index = new Map(tree.uid.map((uid, at) => [uid, at]));
  tree.children = new Map([[-1, []]]);
  tree.up = tree.parent.map((uid) => (uid && tree.index.has(uid) ? tree.index.get(uid) : -1));
  tree.before = tree.before.map((uid) => (uid && tree.index.has(uid) ? tree.index.get(uid) : -1));
  tree.depth = new Array(count).fill(0);
  tree.hash = new Array(count);
  for (let at = 0; at < count; at++) {
    const up = tree.up[at];
    if (!tree.children.has(up)) tree.children.set(up, []);
    tree.children.get(up).push(at);
    tree.depth[at] = up < 0 ? 0 : tree.depth[up] + 1;
    tree.hash[at] = tts.hashed(tree.before[at] < 0 ? [7, 11] : tree.hash[tree.before[at]], tree.added[at]);
  }
  tree.same = new Map();
  for (let at = count - 1; at >= 0; at--) tree.same.set(tree.hash[at].join(), at);
  tree.won = new Set();
  for (let at = tree.index.has(tree.winner) ? tree.index.get(tree.winner) : -1; at >= 0; at = tree.up[at]) tree.won.add(at);
  tree.scorers = Object.keys(tree.scores);
  tree.bounds = Object.fromEntries(tree.scorers.map((name) => [name, tts.bounds(tree, name)]));
  tts.decide(tree);
  tree.ready = true;
  return tree;
};

/** A hash of a whole text that does not depend on where it was cut into nodes. */
tts.hashed = function ([one, other], text) {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    one = Math.imul(one, 31) + code | 0;
    other = Math.imul(other, 16777619) ^ code;
  }
  return [one, other];
};

/** A node's last score: a number, null (missing) or undefined (not scored). */
tts.score = function (tree, name, at) {
  const value = tree.scores[name][at];
  if (value === false) return undefined;
  return Array.isArray(value) ? (value.length ? value[value.length - 1] : null) : value;
};

tts.bounds = function (tree, name) {
  let low = 0, high = 1;
  for (let at = 0; at < tree.uid.length; at++) {
    const value = tts.score(tree, name, at);
    if (typeof value === "number") { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return [low, high];
};

/**
 * Fates: won, kept, pruned, outvoted, or lost (all that came of it was pruned). Pruned is what a
 * decision left out and nothing used: it has no children, no vote heard it, and no other decision
 * gave it out for good, as the other half of a `where` does. `descend` goes by and leaves nothing out.
 */
tts.decide = function (tree) {
  const count = tree.uid.length;
  tree.heard = new Map();
  const votes = new Map();
  const outs = tree.decisions.map((decision) => new Set(decision.out));
  tree.decisions.forEach((decision, number) => {
    const vote = decision.op === "vote";
    decision.in.forEach((uid, place) => {
      const at = tree.index.get(uid);
      if (at === undefined) return;
      if (!tree.heard.has(at)) tree.heard.set(at, []);
      const agrees = vote && tts.agrees(tree, { decision, place });
      tree.heard.get(at).push({ number, place, kept: outs[number].has(uid) || agrees });
      if (vote) votes.set(at, outs[number].has(uid) ? "kept" : agrees ? "agreed" : "outvoted");
    });
  });
  for (const each of tree.heard.values()) each.sort((one, other) => other.kept - one.kept);
  const continued = new Set(tree.before);
  tree.fate = new Array(count).fill("kept");
  for (let at = count - 1; at >= 0; at--) {
    const below = tree.children.get(at) || [];
    if (tree.won.has(at)) tree.fate[at] = "won";
    else if (votes.has(at)) tree.fate[at] = votes.get(at);
    else if (below.length) tree.fate[at] = below.every((child) => ["pruned", "outvoted", "lost"].includes(tree.fate[child])) ? "lost" : "kept";
    else if (!continued.has(at) && tts.leftOut(tree, at, outs)) tree.fate[at] = "pruned";
  }
  tree.pruned = tree.fate.filter((fate) => fate === "pruned").length;
};

/** Whether decisions left a node out, in the end: lines do not stand in the order of time. */
tts.leftOut = function (tree, at, outs) {
  const chose = (tree.heard.get(at) || []).filter(({ number }) => !["vote", "descend"].includes(tree.decisions[number].op));
  const against = chose.filter(({ kept }) => !kept);
  return against.length > 0 && chose.every(({ number, kept }) => !kept || against.some((later) => tts.follows(tree, later.number, number, outs)));
};

/** Whether a decision chose from what an earlier one gave: nothing that was left out is in it. */
tts.follows = function (tree, number, before, outs) {
  const [later, earlier] = [tree.decisions[number], tree.decisions[before]];
  const there = new Set(later.in);
  // One half of a pool may have all of it, and the other nothing.
  if (later.op === "where" && earlier.op === "where" && !later.out.length && earlier.in.length === there.size && earlier.in.every((uid) => there.has(uid))) return false;
  return earlier.in.every((uid) => outs[before].has(uid) || !there.has(uid));
};

/** Whether a vote, of its group if it is in groups, gave the answer that this node votes for. */
tts.agrees = function (tree, { decision, place }) {
  const values = decision.values || [];
  const group = (decision.groups || []).find((each) => each.includes(place));
  const winner = decision.in.findIndex((uid, at) => decision.out.includes(uid) && (!group || group.includes(at)));
  return values[place] !== null && values[place] !== undefined && winner >= 0 && values[place] === values[winner];
};

tts.FATES = {
  won: ["★", "on the path that won"],
  kept: ["●", "kept"],
  agreed: ["◐", "voted for the answer that won"],
  outvoted: ["○", "outvoted"],
  pruned: ["✂", "pruned"],
  lost: ["◌", "all that came of it was pruned"],
};

/** A decision on a node, as a sign: scissors only where the node is pruned. */
tts.sign = function (op, kept, fate) {
  return kept ? "✓" : fate === "pruned" ? "✂" : op === "vote" ? "○" : "–";
};

tts.roundOf = function (decision) {
  return decision.round && decision.round.length ? "round " + decision.round.join(".") + ", " : "";
};

/** What a decision did with the node at a place of its input, in words. */
tts.why = function (decision, place) {
  const uid = decision.in[place];
  const kept = decision.out.includes(uid);
  const group = (decision.groups || []).find((each) => each.includes(place)) || decision.in.map((_, at) => at);
  const out = new Set(decision.out);
  const values = decision.values || [];
  const value = values[place];
  const head = tts.roundOf(decision) + decision.op + " at " + decision.place + ": ";
  if (decision.op === "vote") {
    const weight = decision.weights && decision.weights.length ? ", weight " + tts.number(decision.weights[place]) : "";
    return head + (value === null || value === undefined ? "no vote" : "votes for " + tts.line(value, 60)) + weight + (kept ? "; its answer is returned" : "");
  }
  if (decision.op === "descend") return head + (kept ? "came to this node" : "came to another node");
  if (decision.op === "where") return head + (kept ? "the condition holds" : "the condition does not hold");
  if (decision.op === "dedupe") return head + (kept ? "the first of its kind" : "a duplicate" + (value === undefined || value === null ? "" : " of " + tts.line(value, 60)));
  if (typeof value !== "number") {
    const shown = value === null ? "missing value; " : value === undefined ? "" : tts.line(value, 60) + "; ";
    return head + shown + (kept ? "kept" : "not kept") + " (" + decision.out.length + " of " + decision.in.length + ")";
  }
  const numbers = group.filter((at) => typeof values[at] === "number");
  const keptValues = numbers.filter((at) => out.has(decision.in[at])).map((at) => values[at]);
  const rank = 1 + numbers.filter((at) => values[at] > value).length;
  const among = "value " + tts.number(value) + ", rank " + rank + " of " + group.length + (group.length < decision.in.length ? " in its group" : "");
  if (kept) return head + among + "; kept with " + keptValues.length + " of " + group.length;
  const least = Math.min(...keptValues), most = Math.max(...keptValues);
  if (!keptValues.length) return head + among + "; none kept";
  if (value > least && value > most) return head + among + "; left out, lower values were wanted";
  return head + among + "; left out, " + keptValues.length + " kept, the last of them at " + tts.number(least) + (value === least ? " (a tie: the earlier one stays)" : "");
};
