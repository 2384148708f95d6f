"""From records of runs to figures, a site and a terminal: `tts-report`, `tts-view`."""
