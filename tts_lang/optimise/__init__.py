"""The optimiser: rewrites of plans that keep every answer, text and score that the answer needs."""

from tts_lang.optimise.pipeline import NAMES, PASSES, Optimised, Stage, UnknownPass, optimise

__all__ = ["NAMES", "PASSES", "Optimised", "Stage", "UnknownPass", "optimise"]
