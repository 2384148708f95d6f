"""Other programs for test-time scaling beside this one, each with its own code: `__main__`.

`its_hub_peer`, `optillm_peer` and `search_and_learn_peer` run in Pythons that have those packages,
`ours` in this one; `reward` is the reward model of the peers. They read tasks and write replies as
lines of JSON (`lines`).
"""
