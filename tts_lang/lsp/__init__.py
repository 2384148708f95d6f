"""A language server for `.tts` files: `tts-lsp`, with `pip install 'tts-lang[lsp]'`.

`server` speaks the protocol by pygls; the other modules answer its questions from the compiler.
Only `command` can be imported without the extra.
"""
