"""How the gallery sorts the shipped strategies, and at which parameters it measures them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measured import Point, Value, point

SIZES = (4, 8, 16)


@dataclass(frozen=True, slots=True)
class Family:
    """A page of the gallery.

    Args:
        name: Of the page.
        title: Its heading.
        text: What its strategies have in common, and when to use which.
        files: Strategy files, without folder and ending.
        points: What is measured.
    """

    name: str
    title: str
    text: str
    files: tuple[str, ...]
    points: tuple[Point, ...]


def sweep(name: str, parameter: str, *values: Value, **others: Value) -> tuple[Point, ...]:
    """A strategy at several values of a parameter."""
    return tuple(point(name, **{parameter: value}, **others) for value in values)


def sized(*names: str) -> tuple[Point, ...]:
    """Strategies at several n."""
    return tuple(each for name in names for each in sweep(name, "n", *SIZES))


#: What strategies are compared with on every page.
BASELINES = (point("greedy"), *sized("majority"))

FAMILIES = (
    Family(
        "sampling",
        "Sampling and voting",
        "Whole solutions, drawn independently, then chosen or counted. The cheapest methods to run "
        "(one round of generation, everything in parallel) and the first to try. A vote needs no "
        "scorer and cannot find an answer that is rare; best-of-n can, and is as good as its PRM; "
        "the weighted vote has a part of both.",
        (
            "greedy",
            "chain_of_thought",
            "majority",
            "best_of_n",
            "weighted_best_of_n",
            "adaptive_consistency",
            "confidence_vote",
            "deepconf_offline",
            "self_certainty",
            "rejection_sampling",
        ),
        (
            *BASELINES,
            point("chain_of_thought"),
            *sized("best_of_n", "weighted_best_of_n"),
            *sweep("adaptive_consistency", "most", *SIZES),
            *sized("confidence_vote"),
            *sweep("deepconf_offline", "n", *SIZES, keep="50%", window=16),
            *sweep("deepconf_bottom", "n", *SIZES, keep="50%", window=16),
            *sweep("deepconf_tail", "n", *SIZES, keep="50%", window=16),
            *sized("self_certainty", "self_certainty_best"),
            *sweep("rejection_sampling", "limit", 40, 60, 100, tries=8),
        ),
    ),
    Family(
        "search",
        "Search by steps",
        "A process reward model (PRM) judges unfinished solutions, so that tokens go to the "
        "promising ones. Worth it where single samples rarely reach the answer; with a weak PRM, "
        "or much of it at large n, search finds what the PRM likes rather than what is right. "
        "DVTS keeps its trees apart, which helps where there is budget for many. The files of "
        "beam search differ in what becomes of finished beams and of equal steps.",
        (
            "beam_search",
            "beam_search_refill",
            "beam_search_refill_first",
            "beam_search_shrink",
            "dvts",
            "lookahead_search",
        ),
        (
            *BASELINES,
            *sized(
                "beam_search",
                "beam_search_refill",
                "beam_search_refill_first",
                "beam_search_shrink",
                "dvts",
                "lookahead_search",
            ),
        ),
    ),
    Family(
        "trees",
        "Particles and trees",
        "Search that hedges: REBASE and particle filters keep weak states with a small share of "
        "the budget, MCTS comes back to what it left, tree of thoughts lets the policy itself "
        "judge its states. They trust one PRM score less than beam search does.",
        ("rebase", "particle_filter", "particle_filter_ess", "mcts", "tree_of_thoughts"),
        (
            *BASELINES,
            *sized("rebase", "particle_filter", "particle_filter_ess"),
            *sweep("mcts", "rollouts", 4, 8, 16),
        ),
    ),
    Family(
        "thinking",
        "Budgets of thinking",
        "For policies that think before they answer: how long they think is controlled by what is "
        "forced into the trace (budget forcing) or by what they are asked to do (conditional "
        "control). Sequential, so they wait for tokens; they need no scorer.",
        (
            "budget_forcing",
            "budget_forcing_maximum",
            "budget_forcing_minimum",
            "answer_now",
            "token_conditional",
            "step_conditional",
            "class_conditional",
        ),
        (
            *BASELINES,
            point("greedy_thinking"),
            *sweep("budget_forcing", "waits", 0, 1, 2, 4),
            *sweep("budget_forcing_minimum", "waits", 0, 1, 2, 4),
            *sweep("budget_forcing_maximum", "budget", 10, 20, 40, 80),
            point("answer_now"),
        ),
    ),
    Family(
        "revising",
        "Revising and merging",
        "A new conversation that shows earlier attempts: corrected, criticised or merged. Good "
        "where the policy sees its mistakes when it is shown them, and a matter of training: a "
        "policy that was not trained to revise may only repeat itself.",
        (
            "sequential_revisions",
            "revision_chains",
            "revision_chains_global",
            "self_refine",
            "mixture_of_agents",
        ),
        (
            *BASELINES,
            *sweep("sequential_revisions", "rounds", 2, 4, 8),
            *sweep("revision_chains", "rounds", 1, 2, 4, chains=4),
            *sweep("revision_chains_global", "rounds", 1, 2, 4, chains=4),
        ),
    ),
    Family(
        "choosing",
        "Compute-optimal choice",
        "One method for easy problems and another one for hard ones. Difficulty is predicted from "
        "a few scored samples, or known. Thresholds and methods are parameters, to be fitted on "
        "problems of your own.",
        ("compute_optimal", "compute_optimal_quantiles", "compute_optimal_oracle"),
        (
            *BASELINES,
            *sized("compute_optimal", "compute_optimal_quantiles", "compute_optimal_oracle"),
        ),
    ),
    Family(
        "compositions",
        "Compositions",
        "Combinations that nobody has published, to show that methods compose.",
        (
            "dvts_of_particles",
            "thought_beams",
            "compute_optimal_trees",
            "adaptive_trees",
            "confident_debate",
            "revised_rebase",
            "best_of_answered",
            "fusion",
            "judged_best_of_n",
        ),
        (
            *BASELINES,
            *sized("best_of_answered"),
            *sweep("dvts_of_particles", "n", *SIZES, trees=4),
            point("compute_optimal_trees", n=16),
            *sweep("adaptive_trees", "most", 2, 4),
            *sweep("revised_rebase", "n", 4, 8, revisions=8),
            point("thought_beams", n=8, width=4, rounds=1),
            point("thought_beams", n=8, width=4, rounds=2),
        ),
    ),
)

#: Strategies that are not measured, and why.
PROMPTS = "the bundled policy has learnt three prompts, and this is none of them"
NOT_MEASURED = {
    "tree_of_thoughts": PROMPTS,
    "self_refine": PROMPTS,
    "mixture_of_agents": PROMPTS,
    "token_conditional": PROMPTS,
    "token_conditional_forced": PROMPTS,
    "step_conditional": PROMPTS,
    "step_conditional_forced": PROMPTS,
    "class_conditional": PROMPTS,
    "confident_debate": PROMPTS,
    "fusion": PROMPTS,
    "judged_best_of_n": PROMPTS,
}
