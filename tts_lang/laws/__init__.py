"""Laws: whether two strategies give the same answer, proved or handed to a hunter.

`normal_form.normalise` rewrites a plan by the named rules of `rules.RULES`; two plans with one
normal form are equal. `statements` turns a file's laws into pairs of plans, `judging` decides them,
`command` prints what was found. Hunting for counterexamples needs engines, so a plug-in of the
runtime does it (`hunting`).
"""
