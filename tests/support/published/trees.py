"""Searches that keep a whole tree: UCT, best first, depth first."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf, log, sqrt

from tests.support.published.asking import ask, first_token
from tests.support.published.beams import without_duplicates
from tests.support.published.choosing import Score, best, by_prm, vote
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published


@dataclass(slots=True, eq=False)
class Node:
    """A state of the search with what was learnt about it."""

    path: Path
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0

    def uct(self, c: float) -> float:
        """Mean reward plus c * sqrt(ln N(parent) / N); what was never visited comes first."""
        if self.visits == 0 or self.parent is None:
            return inf
        return self.total / self.visits + c * sqrt(log(self.parent.visits) / self.visits)

    def descend(self, c: float) -> Node:
        """The leaf that UCT leads to."""
        node = self
        while node.children:
            node = max(node.children, key=lambda child: child.uct(c))
        return node

    def backup(self, reward: Score) -> None:
        """One visit, and the reward if there is one, for the node and all above it."""
        node: Node | None = self
        while node is not None:
            node.visits += 1
            node.total += reward or 0.0
            node = node.parent

    def expand(self, lab: Lab, width: int) -> list[Node]:
        """Children one step further; an ended state is itself what it leads to."""
        if self.path.done:
            return [self]
        grown = [Node(path, self) for path in lab.sample(self.path, width, steps=1)]
        self.children += grown
        return grown


@published
def mcts(lab: Lab, rollouts: int = 16, width: int = 4, c: float = 1.4) -> Path | None:
    """UCT whose rewards are the PRM's scores of new children. Kocsis and Szepesvari (2006).

    Section 2: descend by UCT, expand, back up. The leaves run to their ends and vote by score.
    """
    root = Node(lab.problem)
    made = [root]
    for _ in range(rollouts):
        leaf = root.descend(c)
        grown = leaf.expand(lab, width)
        made += [node for node in grown if node is not leaf]
        for node in grown:
            node.backup(by_prm(lab)(node.path))
    ends = [end for node in made if not node.children for end in lab.sample(node.path)]
    return vote(lab, ends, by_prm(lab))


@published
def mcts_rollouts(lab: Lab, rollouts: int = 16, width: int = 4, c: float = 1.4) -> Path | None:
    """UCT with a rollout of every new child; all rollouts vote by outcome. Section 2."""
    root = Node(lab.problem)
    played: list[Path] = []
    for _ in range(rollouts):
        for node in root.descend(c).expand(lab, width):
            end = lab.sample(node.path)[0]
            node.backup(lab.outcome(end))
            played.append(end)
    # An end that is found again is one solution: it has one vote.
    distinct = list(dict.fromkeys(played))
    return vote(lab, distinct, lab.outcome)


@dataclass(slots=True, eq=False)
class Thought:
    """A state of RAP: what its step promises, the rewards of its path, its best rollout."""

    path: Path
    parent: Thought | None = None
    total: float = 0.0
    use: float = 0.0
    hope: float = 0.0
    worth: float = 0.0
    visits: int = 0
    over: bool = False
    children: list[Thought] = field(default_factory=list)

    def uct(self, c: float) -> float:
        """The best rollout, or what is hoped for before any, and how seldom it was tried."""
        parent = self.parent
        around = log(parent.visits) if parent is not None and parent.visits else 0.0
        return (self.worth if self.visits else self.hope) + c * sqrt(around / max(1, self.visits))


@published
def rap(
    lab: Lab,
    rollouts: int = 10,
    width: int = 4,
    tries: int = 8,
    depth: int = 5,
    a: float = 0.5,
    c: float = 1,
) -> Path | None:
    """Rollouts by what looks useful, worth their mean reward, at best. Hao et al. (2023), 3.

    llm-reasoners, MCTS and examples/RAP/gsm8k: what a step promises is P(yes)^a 0.8^(1-a) with
    P(yes) of yes and no alone, its reward the same with the agreement of `tries` answers.
    """
    root = Thought(lab.problem)
    order: list[Thought] = [root]  # of equals the one that was reached last
    ends: dict[Path, float] = {}
    for _ in range(rollouts):
        node = root
        while node.children:
            node = max((each for each in order if each.parent is node), key=lambda one: one.uct(c))
        while not node.over:
            level = node.path.segments.steps
            replies = lab.sample(node.path, tries) if level else []
            answers = [answer for path in replies if (answer := lab.answer(path)) is not None]
            agreed = max(map(answers.count, answers), default=0)
            sure = 1 if node.path.done else agreed / tries
            node.total += node.use**a * sure ** (1 - a)
            node.over = node.path.done or level >= depth
            order.remove(node)
            order.insert(0, node)
            if node.over:
                if (leader := vote(lab, replies)) is not None:
                    ends.setdefault(leader, node.total)
                break
            texts = set()
            for path in lab.sample(node.path, width, steps=1):
                if path.text in texts:
                    continue
                texts.add(path.text)
                child = Thought(path, node, node.total)
                yes = first_token(lab, "useful", "Yes", path)
                no = first_token(lab, "useless", "No", path)
                child.use = yes / (yes + no) if yes + no > 0 else 0.5
                child.hope = child.use**a * 0.8 ** (1 - a)
                node.children.append(child)
                order.append(child)
            node = max(node.children, key=lambda one: one.hope)
        value = node.total / max(1, node.path.segments.steps)
        current: Thought | None = node
        while current is not None:
            current.worth = max(current.worth, value) if current.visits else value
            current.visits += 1
            current = current.parent
    return vote(lab, list(ends), ends.__getitem__)


@published
def rstar(lab: Lab, rollouts: int = 8, tries: int = 8, c: float = 2) -> Path | None:
    """Actions make nodes, direct answers play them, a peer checks. Qi et al. (2024), 3.2 and 3.3.

    zhentingqi/rStar: rewards are the leading answer's part of all direct answers, a finished node
    gets its own again, a solution is kept if the peer agrees with it twice of four times. An
    answer is worth the mean reward of what was kept plus the part of its solutions that was.
    """
    root = Node(lab.problem)
    sure: dict[object, float] = {root: 0.0}
    questions: set[Node] = set()
    ends: list[Path] = []
    for _ in range(rollouts):
        leaf = root.descend(c)
        if leaf.path.done:
            leaf.backup(sure.get(leaf))
            continue
        grown = leaf.expand(lab, 1)
        actions = ["rephrase"] * (leaf is root) + ["redo"] * (leaf in questions) + ["ask_sub"]
        for action in actions:
            grown += [Node(path, leaf) for path in ask(lab, action, leaf.path, steps=1)]
        leaf.children = grown
        questions.add(grown[-1])
        groups: dict[Path | None, list[Path]] = {}
        for node in grown:
            for path in lab.sample(node.path, tries):
                groups.setdefault(path.parent, []).append(path)
        for group in groups.values():
            answers = [answer for path in group if (answer := lab.answer(path)) is not None]
            leader = vote(lab, group)
            if leader is not None:
                sure[leader] = max(map(answers.count, answers)) / tries
                sure[group[0].parent] = sure[leader]
                ends.append(leader)
        for node in grown:
            if node.path in sure and not node.path.done:
                sure[node] = sure[node.path]
            node.backup(sure.get(node))
    agrees = [0 for _ in ends]
    for tenths in (2, 3, 4, 5):
        for place, end in enumerate(ends):
            shown = ceil(tenths * end.tokens / 10)
            start = lab.cut_at(end, lambda part, enough=shown: len(part.ids) >= enough)  # type: ignore[misc]
            second = lab.sample(start, policy="peer")[0]
            agrees[place] += lab.answer(second) == lab.answer(end)
    held = [end for end, times in zip(ends, agrees, strict=True) if times >= 2]
    if not held:
        return vote(lab, ends, sure.__getitem__)
    claimed = [lab.answer(end) for end in ends]
    return vote(lab, held, lambda end: sure[end] / len(held) + 1 / claimed.count(lab.answer(end)))


def _best_by(values: list[tuple[float | None, Path]]) -> Path:
    """The path of the largest value, the earlier of equals, missing last."""
    return max(values, key=lambda pair: -inf if pair[0] is None else pair[0])[1]


@published
def best_first(lab: Lab, k: int = 5, budget: int = 100, wanted: int = 1) -> Path | None:
    """Expand the most promising open state, wherever it is. Koh et al. (2024), section 3.2."""
    score = by_prm(lab)
    frontier: list[tuple[float | None, Path]] = [(1.0, lab.problem)]
    ends: list[Path] = []
    for _ in range(budget):
        if not frontier or len(ends) >= wanted:
            break
        state = _best_by(frontier)
        frontier = [pair for pair in frontier if pair[1] is not state]
        for child in lab.sample(state, k, steps=1):
            if child.done:
                ends.append(child)
            else:
                frontier.append((score(child), child))
    return best(ends, score)


@published
def tree_of_thoughts_dfs(
    lab: Lab, k: int = 3, most: int = 100, pruned: float = 0.1, wanted: int = 5
) -> Path | None:
    """Depth first, the most promising child first, hopeless ones pruned. Yao et al. (2023), 4.3.

    As in its code every visited state counts, equal candidates are one, and what has no value is
    hopeless.
    """

    def score(path: Path) -> float:
        return by_prm(lab)(path) or 0.0

    ends: list[Path] = []
    visited = -1  # the problem itself does not count

    def visit(state: Path, value: float) -> None:
        nonlocal visited
        if visited == most or len(ends) >= wanted:
            return
        visited += 1
        if state.done:
            ends.append(state)
        elif value >= pruned:
            children = without_duplicates(lab.sample(state, k, steps=1))
            for child in sorted(children, key=score, reverse=True):
                visit(child, score(child))

    visit(lab.problem, 1.0)
    return best(ends, score)
