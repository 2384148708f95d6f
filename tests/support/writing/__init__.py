"""Writes random well-typed strategy files part by part; `support.programs` joins them."""
