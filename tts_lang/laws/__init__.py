"""Laws: whether two strategies give the same answer, proved or refuted by a search.

`normal_form.normalise` rewrites a plan by the named rules of `rules.RULES`; two plans with one
normal form are equal. `statements` turns a file's laws into pairs of plans, `decide` decides them,
`command` prints what was found. Searching for counterexamples needs engines, so a plug-in of the
runtime does it (`search`).
"""
