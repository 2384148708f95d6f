"""How a notebook shows a plan: registered here, as what explains plans is built on them."""

from __future__ import annotations

from collections.abc import Callable

#: HTML of a plan; `tts_lang` sets it.
plan_html: Callable[[object], str] = repr
