"""Repairs of lines with errors: tries their meanings, and shows those that get further."""

from __future__ import annotations

from tts_lang.repair.lines import Check, Planner, meant, repaired

__all__ = ["Check", "Planner", "meant", "repaired"]
