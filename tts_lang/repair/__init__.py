"""Repairs of lines with errors: what they can mean is tried, and shown if the file gets further."""

from __future__ import annotations

from tts_lang.repair.lines import Check, Planner, meant, repaired

__all__ = ["Check", "Planner", "meant", "repaired"]
