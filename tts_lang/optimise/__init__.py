"""The optimiser: rewrites of plans that keep every answer, text and score that the answer needs."""

from tts_lang.optimise.pipeline import ALL, NAMES, PASSES, Optimised, Stage, UnknownPass, optimise

__all__ = ["ALL", "NAMES", "PASSES", "Optimised", "Stage", "UnknownPass", "optimise"]
