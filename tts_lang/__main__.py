"""`python -m tts_lang` is `tts-compile`."""

from tts_lang.cli import main

main()
