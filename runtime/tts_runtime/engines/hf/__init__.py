"""Models of the hub as files: configuration, tokenizer, chat template, binding. No torch."""
