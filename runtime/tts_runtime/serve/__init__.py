"""`tts-serve`: strategies behind the OpenAI interface.

`catalogue` holds what is served, `requests` reads what clients send, `admission` decides who may
run, `service` answers, `replies` writes what clients read, `app` ties them to HTTP. All requests
are answers of one `Session`: they share the engines' batches.
"""
