"""The published algorithms in plain Python: loops and lists, written from the papers.

They share nothing with the compiler, the plan, the executor or the plan interpreter. `lab` has what
every algorithm needs (a path that can be sampled on, scored, asked about), `choosing` how papers
choose, the other modules the algorithms, and `worlds` compares them with the strategy files.
"""
