"""`python -m tts_runtime` is `tts-run`."""

from tts_runtime.cli import main

main()
