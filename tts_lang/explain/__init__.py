"""EXPLAIN: bounds of a plan without running it, and a tree to read them in."""
