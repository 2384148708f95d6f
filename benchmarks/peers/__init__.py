"""Other programs for test-time scaling beside this one, each with its own code: `__main__`.

`reward` serves the reward model of all of them; `its_hub_peer`, `optillm_peer` and
`search_and_learn_peer` run in Pythons that have those packages, `ours` in this one. They read tasks
and write replies as lines of JSON (`lines`).
"""
